"""A gRPC server of all four kinds of calls, whose messages are bytes."""

import sys
from concurrent import futures

import grpc


def unary(request, context):
    told = dict(context.invocation_metadata())
    context.set_trailing_metadata([("x-asked", told.get("x-asked", ""))])
    return request[::-1]


def fails(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name: ü %")


def counts(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def breaks(request, context):
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "no more")


def adds(requests, context):
    return str(sum(int(request) for request in requests)).encode()


def talks(requests, context):
    for request in requests:
        yield request.upper()


def main(address):
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Fails": grpc.unary_unary_rpc_method_handler(fails),
        "Counts": grpc.unary_stream_rpc_method_handler(counts),
        "Breaks": grpc.unary_stream_rpc_method_handler(breaks),
        "Adds": grpc.stream_unary_rpc_method_handler(adds),
        "Talks": grpc.stream_stream_rpc_method_handler(talks),
    }
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Peer", methods)])
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


main(sys.argv[1])
