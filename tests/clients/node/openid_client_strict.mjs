// Runs register.mjs and strict.mjs of docs/clients/openid-client.md; then somebody has the access token, but not the key.
import { ask, tell } from "./conversation.mjs";
import "./register.mjs";

const { beginSignIn, config, finishSignIn, renew } = await import("./strict.mjs");
const { url, kept } = await beginSignIn();
const { tokens, person } = await finishSignIn(await ask(url), kept);
const renewed = await renew(tokens);
const stolen = await fetch(config.serverMetadata().userinfo_endpoint, {
  headers: { authorization: `Bearer ${renewed.access_token}` },
});
tell({
  url,
  person,
  kind: renewed.token_type.toLowerCase(),
  rotated: renewed.refresh_token !== tokens.refresh_token,
  stolen: stolen.status,
});
