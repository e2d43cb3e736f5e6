"""Holds planned resources against the API models that AWS ships in botocore.

Terraform knows types; which words and ranges an API takes only the provider and AWS know. Here
the requests are built that the provider would send, of those parts that matter to us, and checked
for names, types, enumerations, ranges, patterns and required members.

    api_requests.py PLAN.json...
"""

import re
import sys

import botocore.session

import plan


def given(**members):
    return {name: value for name, value in members.items() if value not in (None, "", [])}


def accelerator(v):
    return given(Name=v["name"], IpAddressType=v["ip_address_type"], Enabled=v["enabled"], IdempotencyToken="t")


def flow_logs(v):
    said = v["attributes"][0]
    return given(
        AcceleratorArn=v["arn"],
        FlowLogsEnabled=said["flow_logs_enabled"],
        FlowLogsS3Bucket=said["flow_logs_s3_bucket"],
        FlowLogsS3Prefix=said["flow_logs_s3_prefix"],
    )


def listener(v):
    return given(
        AcceleratorArn=v["accelerator_arn"],
        Protocol=v["protocol"],
        ClientAffinity=v["client_affinity"],
        PortRanges=[{"FromPort": r["from_port"], "ToPort": r["to_port"]} for r in v["port_range"]],
        IdempotencyToken="t",
    )


def endpoint_group(v):
    return given(
        ListenerArn=v["listener_arn"],
        EndpointGroupRegion=v["endpoint_group_region"],
        TrafficDialPercentage=v["traffic_dial_percentage"],
        HealthCheckPort=v["health_check_port"],
        HealthCheckProtocol=v["health_check_protocol"],
        HealthCheckPath=v["health_check_path"],
        HealthCheckIntervalSeconds=v["health_check_interval_seconds"],
        ThresholdCount=v["threshold_count"],
        EndpointConfigurations=[
            given(
                EndpointId=e["endpoint_id"],
                Weight=e["weight"],
                ClientIPPreservationEnabled=e["client_ip_preservation_enabled"],
            )
            for e in v["endpoint_configuration"]
        ],
        PortOverrides=[
            {"ListenerPort": p["listener_port"], "EndpointPort": p["endpoint_port"]} for p in v["port_override"]
        ],
        IdempotencyToken="t",
    )


def target_group(v):
    check = v["health_check"][0]
    return given(
        Name=v["name"],
        VpcId=v["vpc_id"],
        TargetType=v["target_type"],
        Protocol=v["protocol"],
        Port=v["port"],
        HealthCheckProtocol=check["protocol"],
        HealthCheckPort=check["port"],
        HealthCheckPath=check["path"],
        HealthCheckIntervalSeconds=check["interval"],
        HealthyThresholdCount=check["healthy_threshold"],
        UnhealthyThresholdCount=check["unhealthy_threshold"],
    )


def alarm(v):
    return given(
        AlarmName=v["alarm_name"],
        AlarmDescription=v["alarm_description"],
        AlarmActions=v["alarm_actions"],
        OKActions=v["ok_actions"],
        Namespace=v["namespace"],
        MetricName=v["metric_name"],
        Dimensions=[{"Name": name, "Value": value} for name, value in v["dimensions"].items()],
        Statistic=v["statistic"],
        ComparisonOperator=v["comparison_operator"],
        Threshold=float(v["threshold"]),
        Period=v["period"],
        EvaluationPeriods=v["evaluation_periods"],
        TreatMissingData=v["treat_missing_data"],
    )


def instance(v):
    options = v["metadata_options"][0]
    return given(
        ImageId=v["ami"],
        MinCount=1,
        MaxCount=1,
        MetadataOptions=given(
            HttpEndpoint=options["http_endpoint"],
            HttpTokens=options["http_tokens"],
            HttpPutResponseHopLimit=options["http_put_response_hop_limit"],
            InstanceMetadataTags=options["instance_metadata_tags"],
        ),
        MaintenanceOptions=given(AutoRecovery=v["maintenance_options"][0]["auto_recovery"]),
    )


def volume(v):
    return given(
        AvailabilityZone=v["availability_zone"],
        VolumeType=v["type"],
        Size=v["size"],
        Iops=v["iops"],
        Throughput=v["throughput"],
        Encrypted=v["encrypted"],
        KmsKeyId=v["kms_key_id"],
    )


def record(v):
    return given(
        HostedZoneId=v["zone_id"],
        ChangeBatch={
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": v["name"],
                        "Type": v["type"],
                        "AliasTarget": {
                            "HostedZoneId": v["alias"][0]["zone_id"],
                            "DNSName": v["alias"][0]["name"],
                            "EvaluateTargetHealth": v["alias"][0]["evaluate_target_health"],
                        },
                    },
                }
            ]
        },
    )


REQUESTS = {
    "aws_globalaccelerator_accelerator": [
        ("globalaccelerator", "CreateAccelerator", accelerator),
        ("globalaccelerator", "UpdateAcceleratorAttributes", flow_logs),
    ],
    "aws_globalaccelerator_listener": [("globalaccelerator", "CreateListener", listener)],
    "aws_globalaccelerator_endpoint_group": [("globalaccelerator", "CreateEndpointGroup", endpoint_group)],
    "aws_lb_target_group": [("elbv2", "CreateTargetGroup", target_group)],
    "aws_cloudwatch_metric_alarm": [("cloudwatch", "PutMetricAlarm", alarm)],
    "aws_instance": [("ec2", "RunInstances", instance)],
    "aws_ebs_volume": [("ec2", "CreateVolume", volume)],
    "aws_route53_record": [("route53", "ChangeResourceRecordSets", record)],
}
TYPES = {
    "string": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "list": list,
    "structure": dict,
    "map": dict,
}


def faults(shape, value, where):
    """What of `value` the shape does not allow."""
    wanted = TYPES.get(shape.type_name)
    if wanted and (not isinstance(value, wanted) or isinstance(value, bool) and wanted is not bool):
        yield f"{where}: {value!r} is no {shape.type_name}"
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{where}: {name} is missing"
        for name, held in value.items():
            if name not in shape.members:
                yield f"{where}: there is no {name}"
            else:
                yield from faults(shape.members[name], held, f"{where}.{name}")
        return
    if shape.type_name == "list":
        for place, held in enumerate(value):
            yield from faults(shape.member, held, f"{where}[{place}]")
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"
    size = len(value) if shape.type_name in ("string", "list") else value
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(size, (int, float)) and (low is not None and size < low or high is not None and size > high):
        yield f"{where}: {value!r} is not within {low} and {high}"
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not re.search(pattern, value):
        yield f"{where}: {value!r} is not like {pattern}"


def main():
    session = botocore.session.get_session()
    models = {}
    wrong, count = [], 0
    for path in sys.argv[1:]:
        for address, kind, values in plan.resources(path):
            for service, operation, build in REQUESTS.get(kind, []):
                model = models.setdefault(service, session.get_service_model(service))
                shape = model.operation_model(operation).input_shape
                wrong += faults(shape, build(values), f"{address}: {operation}")
                count += 1
    if not count:
        sys.exit("no request could be built: is this a plan?")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{count} requests are as the API models want them")


if __name__ == "__main__":
    main()
