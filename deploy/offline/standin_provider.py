"""A provider that knows what the AWS provider's arguments are called, and nothing else.

Terraform can validate, plan and test our modules against it where the real one cannot be had. It
never applies. What the real provider alone would know (ids, ARNs, addresses) it makes up, the
same each time, so that policies and user data in a plan are whole and can be looked at.

    standin_provider.py SCHEMA SOCKET   serves until it is ended; prints what Terraform wants to
                                        read in TF_REATTACH_PROVIDERS
"""

import json
import os
import sys
from concurrent import futures

import grpc
import msgpack
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

# One server stands in for the providers of all Regions, and does not know which is asked.
REGION = "us-east-1"
NESTING = pb.Schema.NestedBlock.NestingMode
# Of what the provider wants exactly one; the bindings do not say so.
ONE_OF = {
    name: ("cidr_ipv4", "cidr_ipv6", "prefix_list_id", "referenced_security_group_id")
    for name in ("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
}
# Optional arguments that somebody reads although nobody gave them.
FILLED_IN = {
    "aws_network_interface": {"private_ip": "10.0.0.10", "ipv6_addresses": ["2001:db8::10"]},
    "data_aws_subnet": {
        "cidr_block": "10.0.0.0/24",
        "ipv6_cidr_block": "2001:db8::/64",
        "availability_zone": "us-east-1a",
    },
    "data_aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
    "data_aws_caller_identity": {"account_id": "123456789012"},
    "data_aws_ssm_parameter": {"value": "ami-0123456789abcdef0"},
    "aws_globalaccelerator_accelerator": {"hosted_zone_id": "Z2BJ6XQ5FK7U4H"},
    "aws_kms_key": {"arn": "arn:aws:kms:us-east-1:123456789012:key/standin"},
    "aws_eip": {"public_ip": "192.0.2.10"},
    "aws_ebs_volume": {"id": "vol-0123456789abcdef0"},
}


def proto_block(block):
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(said["type"]).encode(),
            required=said["required"],
            optional=said["optional"],
            computed=said["computed"],
        )
        for name, said in sorted(block["attributes"].items())
    ]
    blocks = [
        pb.Schema.NestedBlock(
            type_name=name,
            block=proto_block(said),
            nesting=NESTING.Value(said["nesting"].upper()),
            min_items=1 if said["required"] and said["nesting"] != "single" else 0,
        )
        for name, said in sorted(block["blocks"].items())
    ]
    return pb.Schema.Block(attributes=attributes, block_types=blocks)


def proto_schema(block):
    return pb.Schema(version=0, block=proto_block(block))


def optional(kind):
    return {"type": kind, "required": False, "optional": True, "computed": False}


PROVIDER = {
    "attributes": {"region": optional("string"), "profile": optional("string")},
    "blocks": {
        "default_tags": {
            "nesting": "list",
            "required": False,
            "attributes": {"tags": optional(["map", "string"])},
            "blocks": {},
        }
    },
}


def made_up(name, attribute, kind):
    """What only AWS would know, in a shape that others accept."""
    if kind == "string":
        if attribute == "region":
            return REGION
        service = name.removeprefix("data_").removeprefix("aws_").replace("_", "-")
        if attribute == "arn":
            # Of roles and the like the Region is no part.
            place = "" if service.startswith(("iam", "globalaccelerator")) else REGION
            family = service.split("-")[0]
            return f"arn:aws:{family}:{place}:123456789012:{service}/standin"
        return f"{service}-{attribute.replace('_', '-')}"
    if kind in ("number", "bool"):
        return 0 if kind == "number" else False
    if kind[0] == "map":
        return {}
    if kind[1] == "string":
        return [f"{attribute}-0"]
    if isinstance(kind[1], list):
        one = {field: made_up(name, field, inner) for field, inner in kind[1][1].items()}
        return [one]
    return []


def completed(name, block, config):
    """`config` with what the provider adds."""
    if config is None:
        return None
    known = dict(config)
    for attribute, said in block["attributes"].items():
        if known.get(attribute) is not None:
            continue
        if attribute in FILLED_IN.get(name, {}):
            known[attribute] = FILLED_IN[name][attribute]
        elif attribute in ("id", "region") or not said["optional"] and said["computed"]:
            known[attribute] = made_up(name, attribute, said["type"])
    return known


def unpack(value):
    return msgpack.unpackb(value.msgpack, raw=False, strict_map_key=False, ext_hook=Unknown)


class Unknown:
    """A value that is known after apply, passed on as it came."""

    def __init__(self, code, data):
        self.code, self.data = code, data


def pack(value):
    def unknown(held):
        return msgpack.ExtType(held.code, held.data)

    return pb.DynamicValue(msgpack=msgpack.packb(value, default=unknown))


def complaint(summary):
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary)


class Provider(rpc.ProviderServicer):
    def __init__(self, schemas):
        self.schemas = schemas

    def GetMetadata(self, request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "ask for the schema")

    def GetProviderSchema(self, request, context):
        response = pb.GetProviderSchema.Response(provider=proto_schema(PROVIDER))
        for name, block in self.schemas.items():
            data = name.startswith("data_")
            family = response.data_source_schemas if data else response.resource_schemas
            family[name.removeprefix("data_")].CopyFrom(proto_schema(block))
        return response

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request, context):
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request, context):
        config = unpack(request.config)
        wanted = ONE_OF.get(request.type_name)
        faults = []
        given = [config[name] for name in wanted or () if config[name] is not None]
        known = [value for value in given if not isinstance(value, Unknown)]
        if wanted and (not given or len(known) > 1):
            faults.append(complaint(f"{request.type_name} takes exactly one of {', '.join(wanted)}"))
        return pb.ValidateResourceConfig.Response(diagnostics=faults)

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def PlanResourceChange(self, request, context):
        name = request.type_name
        planned = completed(name, self.schemas[name], unpack(request.proposed_new_state))
        return pb.PlanResourceChange.Response(planned_state=pack(planned))

    def ReadDataSource(self, request, context):
        name = "data_" + request.type_name
        read = completed(name, self.schemas[name], unpack(request.config))
        return pb.ReadDataSource.Response(state=pack(read))

    def ApplyResourceChange(self, request, context):
        refusal = complaint("this provider only stands in for the real one and never applies")
        return pb.ApplyResourceChange.Response(
            new_state=request.prior_state, diagnostics=[refusal]
        )

    def ReadResource(self, request, context):
        return pb.ReadResource.Response(new_state=request.current_state)

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()


def main():
    schema, socket = sys.argv[1:]
    with open(schema, encoding="utf-8") as file:
        provider = Provider(json.load(file))
    # A plan may have much user data in each of its machines.
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    rpc.add_ProviderServicer_to_server(provider, server)
    controller_rpc.add_GRPCControllerServicer_to_server(controller_rpc.GRPCControllerServicer(), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(Stdio(), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    address = {"Network": "unix", "String": socket}
    told = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
    print(json.dumps({"hashicorp/aws": told}), flush=True)
    server.wait_for_termination()


class Stdio(stdio_rpc.GRPCStdioServicer):
    """Terraform asks for what a provider prints."""

    def StreamStdio(self, request, context):
        return iter(())


if __name__ == "__main__":
    main()
