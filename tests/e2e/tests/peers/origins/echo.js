// Says what it was asked, by Node's http.
const http = require("node:http");

const server = http.createServer((request, response) => {
  const told = [Buffer.from(`${request.method} ${request.url}\n`, "latin1")];
  request.on("data", (piece) => told.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(told);
    response.writeHead(200, { "content-type": "text/plain", "content-length": body.length });
    response.end(body);
  });
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[3]), process.argv[2]);
