output "entry_dns_name" {
  description = "Name of the accelerator or the load balancer. Customers' names point to it, or to yours that does."
  value       = local.entry.name
}

output "entry_hosted_zone_id" {
  description = "Hosted zone of that name, for alias records of your own."
  value       = local.entry.zone
}

output "static_ip_addresses" {
  description = "The accelerator's addresses, for customers whose names cannot be aliases; empty with a load balancer."
  value       = flatten([for accelerator in aws_globalaccelerator_accelerator.this : accelerator.ip_sets[*].ip_addresses])
}

output "listeners" {
  description = "The accelerator's listeners, for `modules/region`; null with a load balancer."
  value       = local.listeners
}

output "instance_ids" {
  description = "Instance of each node."
  value       = module.home.instance_ids
}

output "private_ips" {
  description = "Address of each node in the VPC."
  value       = module.home.private_ips
}

output "role_arns" {
  description = "Role of each node."
  value       = module.home.role_arns
}

output "user_data" {
  description = "What cloud-init is told on each node. Holds no secret."
  value       = module.home.user_data
}

output "security_group_id" {
  description = "Security group of the nodes."
  value       = module.home.security_group_id
}

output "kms_key_arn" {
  description = "Key of the volumes and the parameters."
  value       = module.home.kms_key_arn
}

output "secrets" {
  description = "Where the cluster's parameters are, for `modules/region`."
  value       = module.home.secrets
}

output "session_commands" {
  description = "How to get a shell on each node."
  value       = { for name, id in module.home.instance_ids : name => "aws ssm start-session --target ${id}" }
}
