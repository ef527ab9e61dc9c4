// Runs pushed.mjs of docs/clients/oauth4webapi.md.
import { ask, tell } from "./conversation.mjs";
import { beginSignIn } from "./pushed.mjs";
import { finishSignIn } from "./sign_in.mjs";

const { url, kept } = await beginSignIn();
const { person } = await finishSignIn(await ask(url), kept);
tell({ url, person });
