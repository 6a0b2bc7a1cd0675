// What is wrong with how the page looks, as a list of sentences. Told the width of the screen,
// because a phone's viewport grows with what overflows it.
(width) => {
  const problems = [];
  const name = element => {
    const own = element.id ? '#' + element.id : element.className ? '.' + String(element.className) : '';
    return element.tagName.toLowerCase() + own + ' “' + element.textContent.trim().slice(0, 40) + '”';
  };
  const style = element => getComputedStyle(element);
  const isHidden = element => {
    for (let each = element; each; each = each.parentElement) {
      const its = style(each);
      if (its.visibility === 'hidden' || its.opacity === '0' || its.clipPath !== 'none') return true;
    }
    // Also what a closed <details> holds, which has a place all the same.
    return !element.checkVisibility() || element.getClientRects().length === 0;
  };
  const visible = [...document.body.querySelectorAll('*')].filter(each =>
    !isHidden(each) && !['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(each.tagName));

  // Nothing beyond the screen.
  const full = document.scrollingElement.scrollWidth;
  if (full > width) problems.push(`the page is ${full} wide`);
  for (const element of visible) {
    const box = element.getBoundingClientRect();
    if (box.right > width + .5 || box.left < -.5) {
      problems.push(`${name(element)} reaches from ${box.left} to ${box.right}`);
    }
    const its = style(element);
    const isCut = its.overflowX !== 'visible' && !['auto', 'scroll'].includes(its.overflowX);
    if (isCut && element.scrollWidth > element.clientWidth + 1) problems.push(`${name(element)} is cut`);
  }

  // Every piece of text: its lines, its size, its colours.
  const colour = text => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return { red: numbers[0], green: numbers[1], blue: numbers[2], alpha: numbers[3] ?? 1 };
  };
  const over = (top, bottom) => {
    const mix = part => top[part] * top.alpha + bottom[part] * (1 - top.alpha);
    return { red: mix('red'), green: mix('green'), blue: mix('blue'), alpha: 1 };
  };
  const ground = element => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) layers.push(colour(style(each).backgroundColor));
    return layers.reduceRight((bottom, top) => over(top, bottom), { red: 255, green: 255, blue: 255, alpha: 1 });
  };
  const light = ({ red, green, blue }) => {
    const [r, g, b] = [red, green, blue].map(part => part / 255).map(part =>
      part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  const lines = [];
  for (const element of visible) {
    for (const text of element.childNodes) {
      if (text.nodeType !== Node.TEXT_NODE || !text.data.trim()) continue;
      const its = style(element);
      const size = parseFloat(its.fontSize);
      if (size < 11) problems.push(`${name(element)} is set in ${size} px`);
      const behind = ground(element);
      const ratio = contrast(over(colour(its.color), behind), behind);
      if (ratio < 4.5) problems.push(`${name(element)} has a contrast of ${ratio.toFixed(2)}`);
      const range = document.createRange();
      range.selectNodeContents(text);
      const boxes = [...range.getClientRects()];
      const isBroken = boxes.some(box => box.top > boxes[0].bottom - 1);
      const isOne = /^\S{1,14}$/.test(text.data.trim()) || element.matches('h2, .percent, .when');
      if (isOne && isBroken) problems.push(`${name(element)} is broken into lines`);
      for (const box of boxes) {
        // Only the middle of a line: the boxes of lines set tightly touch.
        const spare = box.height * .2;
        lines.push({ text, element, left: box.left + 1, right: box.right - 1, top: box.top + spare, bottom: box.bottom - spare });
      }
    }
  }

  // No text over other text, and none outside its card.
  const isOver = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  lines.forEach((one, place) => {
    for (const other of lines.slice(place + 1)) {
      if (one.text !== other.text && isOver(one, other)) {
        problems.push(`${name(one.element)} lies over ${name(other.element)}`);
      }
    }
    const card = one.element.closest('li, td, th, .card, section')?.getBoundingClientRect();
    if (card && (one.left < card.left - 1 || one.right > card.right + 1)) {
      problems.push(`${name(one.element)} leaves its card`);
    }
  });
  return [...new Set(problems)];
}
