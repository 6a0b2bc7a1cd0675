// Polls the page and replaces what has changed. Without script the page is complete, but static.
(() => {
  'use strict';
  const INTERVAL_MS = 3000;
  let failures = 0;

  // The visitor's order, filter and page, and the revision of the charts that are shown.
  function query() {
    const parameters = new URLSearchParams(location.search);
    const shown = document.querySelector('[data-revision]');
    if (shown) parameters.set('charts', shown.dataset.revision);
    const text = parameters.toString();
    return text ? '?' + text : '';
  }

  // Times are served in UTC. A date is added where it is not today's here.
  const MINUTE = { hour: '2-digit', minute: '2-digit' };
  const FORMATS = {
    minute: MINUTE,
    second: { ...MINUTE, second: '2-digit' },
    date: { year: 'numeric', month: 'long', day: 'numeric' },
    full: { year: 'numeric', month: 'long', day: 'numeric', ...MINUTE },
  };

  function showLocalTimes(root) {
    const today = new Date().toDateString();
    for (const element of root.querySelectorAll('time[data-show]')) {
      const at = new Date(element.dateTime);
      const format = FORMATS[element.dataset.show];
      if (!format || isNaN(at)) continue;
      const isOther = element.dataset.show === 'minute' && at.toDateString() !== today;
      element.textContent = at.toLocaleString([], isOther ? { day: 'numeric', month: 'short', ...format } : format);
      element.title = at.toISOString().replace('.000', '');
    }
  }

  function isSelectedIn(element) {
    const selection = getSelection();
    return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
  }

  function replace(old, fresh) {
    if (old.innerHTML === fresh.innerHTML || isSelectedIn(old)) return;
    const open = [...old.querySelectorAll('details[open][id]')].map(details => details.id);
    const active = document.activeElement;
    const focused = old.contains(active) ? active.closest('[id]') : null;
    old.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    const again = focused && document.getElementById(focused.id);
    if (again) (focused === active ? again : again.querySelector('summary'))?.focus({ preventScroll: true });
  }

  // Sections without data are missing. Charts are missing when they have not changed.
  function addAndRemoveSections(next) {
    for (const old of document.querySelectorAll('main section[data-live]')) {
      if (!next.getElementById(old.id)) old.remove();
    }
    for (const column of document.querySelectorAll('main, main .column')) {
      const place = column.id ? `#${column.id}` : 'main';
      let following = null;
      for (const fresh of [...next.querySelectorAll(`${place} > :is(section, .columns)`)].reverse()) {
        const old = column.querySelector(`:scope > ${fresh.id ? '#' + fresh.id : '.' + fresh.classList[0]}`);
        following = old ?? column.insertBefore(fresh.cloneNode(true), following);
      }
    }
  }

  function show(next) {
    const [before, now] = [document.body.dataset, next.body.dataset];
    // Another version has another stylesheet, and the first miner replaces the welcome page.
    const isOther = before.version !== now.version || before.started !== now.started ||
      !document.getElementById('welcome') !== !next.getElementById('welcome');
    if (isOther) return location.reload();
    showLocalTimes(next);
    addAndRemoveSections(next);
    for (const fresh of next.querySelectorAll('[data-live]')) {
      const old = document.getElementById(fresh.id);
      if (old) {
        if (fresh.dataset.revision) old.dataset.revision = fresh.dataset.revision;
        replace(old, fresh);
      }
    }
    document.title = next.title;
  }

  async function refresh() {
    try {
      const answer = await fetch(location.pathname + query(), { cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      failures = 0;
    } catch {
      failures += 1;
    }
    document.body.classList.toggle('away', failures > 1);
  }

  async function poll() {
    if (!document.hidden) await refresh();
    setTimeout(poll, INTERVAL_MS * Math.min(1 + failures, 10));
  }

  showLocalTimes(document);
  setTimeout(poll, INTERVAL_MS);
  document.addEventListener('visibilitychange', () => document.hidden || refresh());
})();
