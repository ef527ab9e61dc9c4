// The same with oauth4webapi, as a public client: it checks every response by itself, algorithm by algorithm.
import * as readline from "node:readline";
import * as oauth from "oauth4webapi";

const [issuer, clientId, redirectUri] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const insecure = { [oauth.allowInsecureRequests]: true };

const issuerUrl = new URL(issuer);
const as = await oauth.processDiscoveryResponse(issuerUrl, await oauth.discoveryRequest(issuerUrl, insecure));
const app = { client_id: clientId, id_token_signed_response_alg: "ES256" };
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const url = new URL(as.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id: clientId, redirect_uri: redirectUri, response_type: "code", scope: "openid email", state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
})) url.searchParams.set(name, value);
say(url.href);

const parameters = oauth.validateAuthResponse(as, app, new URL((await lines.next()).value), state);
const response = await oauth.authorizationCodeGrantRequest(
  as, app, oauth.None(), parameters, redirectUri, verifier, insecure);
const tokens = await oauth.processAuthorizationCodeResponse(as, app, response, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, response, insecure);
const claims = oauth.getValidatedIdTokenClaims(tokens);
const userinfoResponse = await oauth.userInfoRequest(as, app, tokens.access_token, insecure);
say({ claims, userinfo: await oauth.processUserInfoResponse(as, app, claims.sub, userinfoResponse) });
process.exit(0);
