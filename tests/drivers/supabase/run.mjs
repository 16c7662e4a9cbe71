// Prints one line of JSON for each flow: what the server answered, or why the flow stopped.
import * as flows from './flows.mjs';
import { cookies, request } from './cookies.mjs';

async function report(flow, run) {
  const said = await run().catch((error) => ({ stopped: error.stack, status: error.status, code: error.code }));
  console.log(JSON.stringify({ flow, ...said }));
}

// The pages of a list shift when accounts are made meanwhile: that flow has the server to itself.
const { administration, ...others } = flows;
await report('administration', administration);
await Promise.all([
  ...Object.entries({ ...others, cookies }).map(([flow, run]) => report(flow, run)),
  ...['signUp', 'refresh', 'recovery', 'emailChange', 'secondFactor', 'signOut'].map((flow) => report(`${flow} with cookies`, () => flows[flow](request))),
]);
