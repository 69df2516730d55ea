// In Airflow's shell this page is in a frame that may not lead the whole window elsewhere, so that a link to
// a run would show Airflow within Airflow. The shell has our origin: its own document follows such links.
"use strict";

function leave(address) {
  const link = window.parent.document.createElement("a");
  link.href = address;
  link.click();
}

if (window.parent !== window) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[target=_top]");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    leave(link.href);
  });
  const onward = document.querySelector("a[data-go]");
  if (onward) leave(onward.href);
}
