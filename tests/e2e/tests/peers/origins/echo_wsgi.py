"""Says what it was asked, by WSGI."""


def app(environ, start_response):
    asked = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}\n".encode("latin-1")
    told = asked + environ["wsgi.input"].read()
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(told)))]
    start_response("200 OK", fields)
    return [told]
