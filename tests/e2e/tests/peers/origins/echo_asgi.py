"""Says what it was asked, by ASGI."""


async def app(scope, receive, send):
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    told = scope["method"].encode() + b" " + scope["raw_path"] + query + b"\n"
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        told += event.get("body", b"")
        more = event.get("more_body", False)
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": told})
