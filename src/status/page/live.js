// Polls the page and replaces what has changed. Without script the page is complete, but static.
(() => {
  'use strict';
  const INTERVAL_MS = 3000;
  let failures = 0;

  function chartsQuery() {
    const shown = document.querySelector('[data-revision]');
    return shown ? '?charts=' + encodeURIComponent(shown.dataset.revision) : '';
  }

  function isSelectedIn(element) {
    const selection = getSelection();
    return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
  }

  function replace(old, fresh) {
    if (old.innerHTML === fresh.innerHTML || isSelectedIn(old)) return;
    const open = [...old.querySelectorAll('details[open][id]')].map(details => details.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.closest('[id]') : null;
    old.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    if (focused) document.getElementById(focused.id)?.querySelector('summary')?.focus();
  }

  // Sections without data are missing. Charts are missing when they have not changed.
  function addAndRemoveSections(next) {
    const main = document.querySelector('main');
    for (const old of main.querySelectorAll(':scope > section[data-live]')) {
      if (!next.getElementById(old.id)) old.remove();
    }
    let following = null;
    for (const fresh of [...next.querySelectorAll('main > section')].reverse()) {
      const old = main.querySelector(`:scope > .${fresh.classList[0]}`);
      following = old ?? main.insertBefore(fresh.cloneNode(true), following);
    }
  }

  function show(next) {
    const [before, now] = [document.body.dataset, next.body.dataset];
    // Another version has another stylesheet, and the first miner replaces the welcome page.
    const isOther = before.version !== now.version || before.started !== now.started ||
      !document.getElementById('welcome') !== !next.getElementById('welcome');
    if (isOther) return location.reload();
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
      const answer = await fetch('/' + chartsQuery(), { cache: 'no-store' });
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

  setTimeout(poll, INTERVAL_MS);
  document.addEventListener('visibilitychange', () => document.hidden || refresh());
})();
