// A site of which clients can ask all that HTTP has: pages, uploads, events, interim answers.
const http = require("node:http");
const fs = require("node:fs");
const path = require("node:path");
const crypto = require("node:crypto");

const page = fs.readFileSync(path.join(__dirname, "page.html"));

// What a browser said of itself, for whoever asks us directly.
let report = "";

// `BYTES` of a pattern that tells where it was cut or mixed up.
function pattern(bytes) {
  const body = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) body[at] = (at * 31 + (at >> 8)) & 0xff;
  return body;
}

function sum(pieces) {
  return crypto.createHash("sha256").update(Buffer.concat(pieces)).digest("hex");
}

function answer(request, response) {
  const url = new URL(request.url, "http://site");
  const number = Number(url.searchParams.get("n"));
  switch (url.pathname) {
    case "/":
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      return response.end(page);
    case "/number":
      return response.end(`${number}`);
    case "/bytes":
      return response.end(pattern(number));
    case "/hints":
      return response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" }, () => {
        response.writeProcessing();
        response.end("hinted");
      });
    case "/slowly": {
      let left = number;
      const timer = setInterval(() => {
        response.write(`piece ${left}\n`);
        left -= 1;
        if (left === 0) {
          clearInterval(timer);
          response.end();
        }
      }, 20);
      return undefined;
    }
    case "/trailers":
      response.writeHead(200, { trailer: "x-sum" });
      response.write("told");
      response.addTrailers({ "x-sum": "1" });
      return response.end();
    case "/events": {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      let id = Number(request.headers["last-event-id"] ?? 0);
      const timer = setInterval(() => {
        id += 1;
        response.write(`id: ${id}\nevent: count\ndata: ${id}\n\n`);
        // The client comes again by itself, and says what it has.
        if (id % 5 === 0) response.end();
      }, 20);
      return response.on("close", () => clearInterval(timer));
    }
    case "/reported":
      return response.end(report);
    case "/empty":
      response.writeHead(204);
      return response.end();
    case "/same":
      response.writeHead(request.headers["if-none-match"] ? 304 : 200, { etag: '"1"' });
      return response.end(request.headers["if-none-match"] ? undefined : "same");
    default: {
      // What was sent, told by its sum: uploads of any method.
      const pieces = [];
      request.on("data", (piece) => pieces.push(piece));
      request.on("end", () => {
        const length = pieces.reduce((length, piece) => length + piece.length, 0);
        const told = { method: request.method, length, sum: sum(pieces), headers: request.headers };
        if (url.pathname === "/report") report = Buffer.concat(pieces).toString();
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(told));
      });
      return undefined;
    }
  }
}

const server = http.createServer(answer);
server.on("checkContinue", answer); // the edge gives leave, and never asks us for it
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[3]), process.argv[2]);
