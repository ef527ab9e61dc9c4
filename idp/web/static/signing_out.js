/* Go on when every frame has loaded (the window's load event waits for them), or when one takes too long. */
(function () {
  "use strict";
  var isGone = false;
  function goOn() {
    if (!isGone) {
      isGone = true;
      window.location.replace(document.getElementById("continue").href);
    }
  }
  window.addEventListener("load", goOn);
  window.setTimeout(goOn, 5000);
})();
