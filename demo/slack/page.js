// SPDX-License-Identifier: MIT
// Shows new messages without a reload: asks every two seconds and replaces what changed.
setInterval(async () => {
  try {
    const text = await (await fetch(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html").body;
    if (fresh.innerHTML !== document.body.innerHTML) document.body.replaceChildren(...fresh.childNodes);
  } catch (error) {
    // The server is gone: the page stays as it is, and asks again.
  }
}, 2000);
