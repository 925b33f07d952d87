// A door that adds a key: the conformance tool cannot send a header. It says on which port it listens,
// and ends when its standard input does.
//
//   node with_key.mjs RELAY KEY

import http from "node:http";

const [relay, key] = process.argv.slice(2);

const server = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${key}` };
  // A page of this door's is one of the relay's; the name it is called by is passed on as it is.
  const own = headers.origin?.endsWith(`:${server.address().port}`);
  if (own) headers.origin = headers.origin.replace(/:\d+$/, `:${new URL(relay).port}`);
  const passed = http.request(relay + request.url, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    // A stream says its first word late; who waits for it hears that there is one.
    response.flushHeaders();
    answer.pipe(response);
  });
  passed.on("error", () => response.destroy());
  response.on("close", () => passed.destroy());
  request.pipe(passed);
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
