// Runs sign_in.mjs of docs/clients/oauth4webapi.md.
import { ask, tell } from "./conversation.mjs";
import { beginSignIn, finishSignIn, signOutUrl } from "./sign_in.mjs";

const { url, kept } = await beginSignIn();
const { tokens, person } = await finishSignIn(await ask(url), kept);
tell({ person, logout: signOutUrl(tokens) });
