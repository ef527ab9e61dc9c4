// Runs bound.mjs of docs/clients/oauth4webapi.md; then somebody has the access token, but not the key.
import { finishSignIn } from "./bound.mjs";
import { ask, tell } from "./conversation.mjs";
import { as, beginSignIn } from "./sign_in.mjs";

const { url, kept } = await beginSignIn();
const { tokens, person } = await finishSignIn(await ask(url), kept);
const stolen = await fetch(as.userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } });
tell({ person, kind: tokens.token_type.toLowerCase(), stolen: stolen.status });
