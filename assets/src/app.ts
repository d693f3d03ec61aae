/** What every page has. Each feature finds its elements by data attributes; pages work without any of it. */
import "@tabler/core/dist/js/tabler.esm.js";
import htmx from "htmx.org/dist/htmx.esm.js";
import { cardKeys } from "./app/cards";
import { drafts, focusErrors, leaveGuards, restoreRefused, submitGuards, watchLeaving } from "./app/forms";
import { currentTabs, dialogs, menuButton, menus } from "./app/menus";
import { dismissals, requestErrors } from "./app/notes";
import { passkeyErrors } from "./app/passkeys";
import { priceTables } from "./app/prices";
import { columnChoices, rowKeys, stickyHeads } from "./app/tables";
import { themeSwitches } from "./app/theme";
import { countdowns, localTimes, startClock } from "./app/times";
import { readPageTime, watchForSleep } from "./lib/clock";

// The policy allows neither inline styles nor eval.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyCacheSize = 0; // a page with prices does not belong into local storage

function enhance(root: ParentNode): void {
  themeSwitches(root);
  menuButton(root);
  dialogs(root);
  currentTabs(root);
  countdowns(root);
  localTimes(root);
  leaveGuards(root);
  drafts(root);
  priceTables(root);
  columnChoices(root);
  stickyHeads(root);
}

readPageTime();
watchForSleep();
enhance(document);
startClock();
menus();
dismissals();
requestErrors();
passkeyErrors();
submitGuards();
watchLeaving();
rowKeys();
cardKeys();
restoreRefused();
focusErrors(document);
document.addEventListener("htmx:load", (event) => {
  const root = (event as CustomEvent<{ elt: HTMLElement }>).detail.elt;
  enhance(root);
  if (root !== document.body) focusErrors(root);
});
document.addEventListener("click", (event) => {
  const back = event.target instanceof Element ? event.target.closest("[data-back]") : null;
  if (!back || history.length < 2) return;
  event.preventDefault();
  history.back();
});
