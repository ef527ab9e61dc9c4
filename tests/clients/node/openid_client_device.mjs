// Runs device.mjs of docs/clients/openid-client.md: the test is the person with a browser.
import { ask, tell } from "./conversation.mjs";
import { signIn } from "./device.mjs";

const person = await signIn((code, where, whereWithCode) => ask(whereWithCode));
tell({ person });
