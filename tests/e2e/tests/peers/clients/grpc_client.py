"""All four kinds of gRPC calls, and how they fail, by Google's library."""

import queue
import sys

import grpc


def main(host, address, roots):
    with open(roots, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options = [("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)]
    options.append(("grpc.max_receive_message_length", 2**24))
    with grpc.secure_channel(address, credentials, options) as channel:
        calls(channel)
    print("all calls are as they must be")


def calls(channel):
    unary = channel.unary_unary("/test.Peer/Unary")
    for message in [b"", b"abc", bytes(range(256)) * 4000]:
        answer, call = unary.with_call(message, metadata=[("x-asked", "y")], timeout=20)
        assert answer == message[::-1]
        assert call.code() == grpc.StatusCode.OK
        assert ("x-asked", "y") in call.trailing_metadata(), call.trailing_metadata()
    # Many at once on one connection.
    many = [unary.future(str(number).encode(), timeout=20) for number in range(200)]
    assert [one.result() for one in many] == [str(number).encode()[::-1] for number in range(200)]
    # Nothing but trailers.
    for method, code, told in [
        ("Fails", grpc.StatusCode.NOT_FOUND, "nothing of that name: ü %"),
        ("Missing", grpc.StatusCode.UNIMPLEMENTED, None),
    ]:
        try:
            channel.unary_unary(f"/test.Peer/{method}")(b"", timeout=20)
            raise AssertionError(f"{method} has not failed")
        except grpc.RpcError as error:
            assert error.code() == code, error
            assert told is None or error.details() == told, error
    counts = channel.unary_stream("/test.Peer/Counts")
    assert list(counts(b"1000", timeout=20)) == [str(number).encode() for number in range(1000)]
    heard = []
    try:
        for message in channel.unary_stream("/test.Peer/Breaks")(b"", timeout=20):
            heard.append(message)
        raise AssertionError("Breaks has not failed")
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "no more"), error
    assert heard == [b"one"]
    adds = channel.stream_unary("/test.Peer/Adds")
    assert adds((str(number).encode() for number in range(100)), timeout=20) == b"4950"
    # Each is said only after the one before was answered: nothing is held back on the way.
    said = queue.Queue()
    talk = channel.stream_stream("/test.Peer/Talks")(iter(said.get, None), timeout=20)
    for word in [b"one", b"two", b"three"]:
        said.put(word)
        assert next(talk) == word.upper()
    said.put(None)
    assert list(talk) == []
    # Given up by the client, in two ways; the connection goes on.
    talk = channel.stream_stream("/test.Peer/Talks")(iter(said.get, None))
    said.put(b"x")
    assert next(talk) == b"X"
    talk.cancel()
    assert talk.code() == grpc.StatusCode.CANCELLED
    try:
        list(channel.stream_stream("/test.Peer/Talks")(iter(said.get, None), timeout=0.3))
        raise AssertionError("nothing has timed out")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    said.put(None)
    assert unary(b"ab", timeout=20) == b"ba"


main(*sys.argv[1:])
