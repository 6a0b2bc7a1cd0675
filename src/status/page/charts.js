// Shows the values of a chart in its caption: under the pointer or the finger, or by the arrow keys. Without script the charts
// have titles.
(() => {
  'use strict';
  const UNITS = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'];
  let shown = null;

  function rate(text) {
    let value = Number(text);
    let unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${value === 0 ? 0 : value.toPrecision(3)} ${UNITS[unit]}H/s`;
  }

  function shares(text) {
    const [accepted, rejected, unanswered] = text.split('/').map(Number);
    return [`${accepted} accepted`, rejected && `${rejected} rejected`, unanswered && `${unanswered} unanswered`]
      .filter(Boolean).join(', ');
  }

  function clock(seconds, step) {
    const day = step >= 3600 ? { weekday: 'short' } : {};
    return new Date(seconds * 1000).toLocaleString([], { ...day, hour: '2-digit', minute: '2-digit' });
  }

  // The titles would cover the values.
  function takeTitles(plot) {
    for (const title of plot.querySelectorAll('title')) {
      if (title.parentNode.dataset.at) title.parentNode.dataset.text = title.textContent;
      title.remove();
    }
  }

  function hide() {
    if (!shown) return;
    shown.caption.textContent = shown.text;
    shown.cursor.remove();
    shown = null;
  }

  function show(plot, wanted) {
    const { start, step, values, kind } = plot.dataset;
    const all = values.split(',');
    const place = Math.max(0, Math.min(all.length - 1, wanted));
    const caption = plot.closest('figure')?.querySelector('.value');
    if (!caption) return;
    if (shown?.plot !== plot) {
      hide();
      takeTitles(plot);
      const cursor = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      cursor.setAttribute('class', 'cursor');
      cursor.setAttribute('vector-effect', 'non-scaling-stroke');
      plot.querySelector('.over').append(cursor);
      shown = { plot, caption, cursor, text: caption.textContent };
    }
    shown.place = place;
    const [from, length] = [Number(start) + place * step, Number(step)];
    const middle = ((place + .5) * 720 / all.length).toFixed(1);
    shown.cursor.setAttribute('d', `M${middle} 0V200`);
    const value = all[place] === '' ? 'no data' : kind === 'rate' ? rate(all[place]) : shares(all[place]);
    const near = [...plot.querySelectorAll('.mark')].filter(mark => mark.dataset.at >= from - length && mark.dataset.at < from + 2 * length);
    const marks = near.map(mark => mark.dataset.text.replace(/^[^:]*:\d\d UTC: /, ''));
    caption.textContent = [`${clock(from, length)}: ${value}`, ...marks].join(' · ');
  }

  function count(plot) {
    return plot.dataset.values.split(',').length;
  }

  function step(event) {
    const plot = event.target.closest?.('.plot[data-values]');
    if (!plot) return;
    if (event.key === 'Escape') hide();
    const last = count(plot) - 1;
    const from = shown?.plot === plot ? shown.place : last + 1;
    const place = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (place === undefined) return;
    event.preventDefault();
    // Read aloud only for those who ask: the figures of the caption change all the time.
    plot.closest('figure')?.querySelector('.value')?.setAttribute('aria-live', 'polite');
    show(plot, place);
  }

  function follow(event) {
    const plot = event.target.closest?.('.plot[data-values]');
    if (plot) {
      const box = plot.getBoundingClientRect();
      show(plot, Math.floor((event.clientX - box.left) / box.width * count(plot)));
    } else if (shown && !shown.plot.contains(event.target)) hide();
  }

  document.addEventListener('pointermove', follow);
  document.addEventListener('pointerdown', follow);
  document.addEventListener('keydown', step);
  document.addEventListener('focusout', hide);
  document.documentElement.addEventListener('pointerleave', hide);
})();
