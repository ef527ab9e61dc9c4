// Asks the test, and tells it: strings are questions, an object is what came of it all.
import * as readline from "node:readline";

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();


export async function ask(question) {
  process.stdout.write(JSON.stringify(question) + "\n");
  return (await lines.next()).value;
}

export function tell(result) {
  process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
}
