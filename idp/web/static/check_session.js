/* Say whether a session_state still holds (OpenID Connect Session Management 1.0 section 3.2).
   An app's page sends "client_id session_state"; "unchanged", "changed" or "error" goes back to that page alone. */
(function () {
  "use strict";

  /* SHA-256 (FIPS 180-4), because crypto.subtle answers later only, and not in every browser. */
  var ROUND = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
  ];
  var INITIAL = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  ];

  function rotated(word, by) {
    return (word >>> by) | (word << (32 - by));
  }

  function padded(text) {
    var bytes = unescape(encodeURIComponent(text)); /* UTF-8 */
    var words = [];
    var count = ((bytes.length + 8) >> 6) * 16 + 16;
    var at;
    for (at = 0; at < count; at += 1) { words[at] = 0; }
    for (at = 0; at < bytes.length; at += 1) { words[at >> 2] |= bytes.charCodeAt(at) << (24 - 8 * (at & 3)); }
    words[at >> 2] |= 0x80 << (24 - 8 * (at & 3));
    words[count - 1] = bytes.length * 8;
    return words;
  }

  function sha256(text) {
    var words = padded(text);
    var hash = INITIAL.slice(0);
    var schedule = [];
    var block, step, state, one, two;
    for (block = 0; block < words.length; block += 16) {
      state = hash.slice(0);
      for (step = 0; step < 64; step += 1) {
        if (step < 16) {
          schedule[step] = words[block + step];
        } else {
          one = schedule[step - 15];
          two = schedule[step - 2];
          one = rotated(one, 7) ^ rotated(one, 18) ^ (one >>> 3);
          two = rotated(two, 17) ^ rotated(two, 19) ^ (two >>> 10);
          schedule[step] = (schedule[step - 16] + one + schedule[step - 7] + two) | 0;
        }
        one = rotated(state[4], 6) ^ rotated(state[4], 11) ^ rotated(state[4], 25);
        one += state[7] + ((state[4] & state[5]) ^ (~state[4] & state[6])) + ROUND[step] + schedule[step];
        two = rotated(state[0], 2) ^ rotated(state[0], 13) ^ rotated(state[0], 22);
        two += (state[0] & state[1]) ^ (state[0] & state[2]) ^ (state[1] & state[2]);
        state = [(one + two) | 0, state[0], state[1], state[2], (state[3] + one) | 0, state[4], state[5], state[6]];
      }
      for (step = 0; step < 8; step += 1) { hash[step] = (hash[step] + state[step]) | 0; }
    }
    for (step = 0; step < 8; step += 1) { hash[step] = ("0000000" + (hash[step] >>> 0).toString(16)).slice(-8); }
    return hash.join("");
  }

  /* Where the browser keeps cookies from frames of other sites there is nothing to compare. "changed" would make the
     app ask anew for ever; upon "error" it must not (section 3.1). */
  var isBlind = false;
  if (document.hasStorageAccess) {
    document.hasStorageAccess().then(function (isGranted) { isBlind = !isGranted; });
  }

  function browserState() {
    var wanted = document.body.getAttribute("data-cookie") + "=";
    var cookies = document.cookie.split("; ");
    var at;
    for (at = 0; at < cookies.length; at += 1) {
      if (cookies[at].indexOf(wanted) === 0) { return cookies[at].slice(wanted.length); }
    }
    return "";
  }

  function answer(message, origin) {
    var parts = typeof message === "string" && /^([^ ]+) ([0-9a-f]{64})\.([^ ]+)$/.exec(message);
    var state = browserState();
    if (!parts || (isBlind && !state)) { return "error"; }
    return sha256([parts[1], origin, state, parts[3]].join(" ")) === parts[2] ? "unchanged" : "changed";
  }

  window.addEventListener("message", function (event) {
    if (event.source && event.source !== window && event.origin !== "null") {
      event.source.postMessage(answer(event.data, event.origin), event.origin);
    }
  });
})();
