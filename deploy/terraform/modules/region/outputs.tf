output "instance_ids" {
  description = "Instance of each node."
  value       = { for name, node in module.node : name => node.instance_id }
}

output "private_ips" {
  description = "Address of each node in its VPC."
  value       = { for name, node in module.node : name => node.private_ip }
}

output "role_arns" {
  description = "Role of each node."
  value       = { for name, node in module.node : name => node.role_arn }
}

output "user_data" {
  description = "What cloud-init is told on each node. Holds no secret."
  value       = { for name, node in module.node : name => node.user_data }
}

output "security_group_id" {
  description = "Security group of the nodes."
  value       = aws_security_group.nodes.id
}

output "kms_key_arn" {
  description = "Key of the volumes here."
  value       = local.kms_key_arn
}

output "secrets" {
  description = "Where the cluster's parameters are."
  value       = local.secrets
}

output "endpoint_group_arns" {
  description = "Endpoint group of each listener here."
  value       = { for name, group in aws_globalaccelerator_endpoint_group.this : name => group.arn }
}
