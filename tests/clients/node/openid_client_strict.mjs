// Runs register.mjs and strict.mjs of docs/clients/openid-client.md.
import { ask, tell } from "./conversation.mjs";
import "./register.mjs";

const { beginSignIn, finishSignIn, renew } = await import("./strict.mjs");
const { url, kept } = await beginSignIn();
const { tokens, person } = await finishSignIn(await ask(url), kept);
const renewed = await renew(tokens);
tell({ url, person, rotated: renewed.refresh_token !== tokens.refresh_token });
