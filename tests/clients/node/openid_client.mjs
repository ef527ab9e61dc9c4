// Runs sign_in.mjs of docs/clients/openid-client.md, and tries what else the library can do with the tokens.
import * as client from "openid-client";
import { ask, tell } from "./conversation.mjs";
import { beginSignIn, config, finishSignIn, renew, signOutUrl } from "./sign_in.mjs";

const { url, kept } = await beginSignIn();
const { tokens, person } = await finishSignIn(await ask(url), kept);
const renewed = await renew(tokens);
const before = await client.tokenIntrospection(config, renewed.access_token);
await client.tokenRevocation(config, renewed.access_token);
const after = await client.tokenIntrospection(config, renewed.access_token);
tell({
  person,
  rotated: renewed.refresh_token !== tokens.refresh_token,
  before: before.active,
  after: after.active,
  logout: signOutUrl(tokens),
});
