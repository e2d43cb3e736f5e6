variable "name" {
  description = "Name of the cluster, the same in all Regions."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "A name is 3 to 22 lower-case letters, digits and hyphens, with a letter first."
  }
}

variable "vpc_id" {
  description = "VPC of the nodes. It needs an internet gateway."
  type        = string
}

variable "nodes" {
  description = "Machines of this Region by name: where they are, what they may become, and their share of the traffic (0 to 255)."
  type = map(object({
    subnet_id         = string
    availability_zone = string
    private_ip        = optional(string)
    role              = optional(string, "learner")
    weight            = optional(number, 128)
  }))

  validation {
    condition     = alltrue([for name in keys(var.nodes) : can(regex("^[a-z0-9][a-z0-9-]{0,30}$", name))])
    error_message = "A node's name is 1 to 31 lower-case letters, digits and hyphens."
  }

  validation {
    condition     = length(var.nodes) <= 10
    error_message = "An endpoint group takes ten instances at most."
  }

  validation {
    condition     = alltrue([for node in values(var.nodes) : node.weight >= 0 && node.weight <= 255])
    error_message = "A weight is 0 to 255."
  }
}

variable "instance_type" {
  description = "Type of the machines."
  type        = string
  default     = "c7g.large"
}

variable "ami_id" {
  description = "Image of new machines; null: the newest of `ami_ssm_parameter`."
  type        = string
  default     = null
}

variable "ami_ssm_parameter" {
  description = "Public parameter that names an image: Debian's family with cloud-init and the agent of Session Manager, for the architecture of `instance_type` and of the package."
  type        = string
  default     = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
}

variable "artifact" {
  description = "The Debian package that new machines install: an https URL and its SHA-256."
  type = object({
    url    = string
    sha256 = string
  })

  validation {
    condition     = startswith(var.artifact.url, "https://")
    error_message = "The package is fetched by https only."
  }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.artifact.sha256))
    error_message = "A SHA-256 is 64 hexadecimal digits in lower case."
  }
}

variable "data_volume" {
  description = "Each node's gp3 volume: size in GiB, IOPS, throughput in MiB/s."
  type = object({
    size       = optional(number, 20)
    iops       = optional(number, 3000)
    throughput = optional(number, 125)
  })
  default = {}

  validation {
    condition     = var.data_volume.size >= 8 && var.data_volume.size <= 16384
    error_message = "A volume has 8 to 16384 GiB."
  }

  validation {
    condition     = var.data_volume.iops >= 3000 && var.data_volume.iops <= 16000 && var.data_volume.throughput >= 125 && var.data_volume.throughput <= 1000
    error_message = "A gp3 volume has 3000 to 16000 IOPS and 125 to 1000 MiB/s."
  }
}

variable "kms_key_arn" {
  description = "Key of this Region for volumes and parameters; null: one is made."
  type        = string
  default     = null
}

variable "secrets" {
  description = "Where the cluster's parameters are, for Regions other than its home (output `secrets` of the module there); null: here."
  type = object({
    region      = string
    kms_key_arn = string
  })
  default = null
}

variable "public_ips" {
  description = "Give each node a public IPv4 address, to reach CAs and origins. False needs a NAT or endpoints in the VPC."
  type        = bool
  default     = true
}

variable "ip_address_type" {
  description = "`IPV4` or `DUAL_STACK`."
  type        = string
  default     = "IPV4"

  validation {
    condition     = contains(["IPV4", "DUAL_STACK"], var.ip_address_type)
    error_message = "The address type is IPV4 or DUAL_STACK."
  }
}

variable "ports" {
  description = "Ports that the nodes bind. Those of https and http are not 443 and 80: whoever stands in front leads clients there."
  type = object({
    https  = optional(number, 8443)
    http   = optional(number, 8080)
    peer   = optional(number, 7443)
    admin  = optional(number, 7444)
    health = optional(number, 9080)
  })
  default = {}

  validation {
    condition     = length(distinct(values(var.ports))) == 5
    error_message = "Each port is another one."
  }

  validation {
    condition     = alltrue([for port in values(var.ports) : port > 1023 && port < 65536])
    error_message = "Ports are 1024 to 65535: the daemon has no right to others."
  }
}

variable "front" {
  description = "The load balancer whose security group alone may reach the nodes; null: clients reach them through the accelerator."
  type = object({
    security_group_id = string
  })
  default = null
}

variable "proxy_protocol_from" {
  description = "Networks of load balancers that say who clients are by the PROXY protocol."
  type        = list(string)
  default     = []
}

variable "peer_cidrs" {
  description = "Networks of the nodes in other Regions, over a peering or transit gateway: security groups cannot be named across Regions."
  type        = list(string)
  default     = []
}

variable "admin_source" {
  description = "Who may reach the operators' API, besides the nodes."
  type = object({
    cidrs              = optional(list(string), [])
    security_group_ids = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for cidr in var.admin_source.cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "The operators' API is not for everybody: name networks other than 0.0.0.0/0 and ::/0."
  }
}

variable "monitoring_source" {
  description = "Who may read /metrics at the health port, besides health checkers."
  type = object({
    cidrs              = optional(list(string), [])
    security_group_ids = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for cidr in var.monitoring_source.cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Metrics are not for everybody: name networks other than 0.0.0.0/0 and ::/0."
  }
}

variable "listeners" {
  description = "Listeners of the accelerator that this Region's endpoint groups belong to (output `listeners` of the module); null: none."
  type = object({
    https = string
    http  = string
  })
  default = null
}

variable "traffic_dial_percentage" {
  description = "Share of the traffic that would come to this Region which it takes, 0 to 100."
  type        = number
  default     = 100

  validation {
    condition     = var.traffic_dial_percentage >= 0 && var.traffic_dial_percentage <= 100
    error_message = "A traffic dial is 0 to 100."
  }
}

variable "health_check" {
  description = "How often a node is asked whether it is ready (10 or 30 s), and how many answers in a row change what is thought of it (1 to 10)."
  type = object({
    interval  = optional(number, 10)
    threshold = optional(number, 3)
  })
  default = {}

  validation {
    condition     = contains([10, 30], var.health_check.interval)
    error_message = "The interval is 10 or 30 seconds."
  }

  validation {
    condition     = var.health_check.threshold >= 1 && var.health_check.threshold <= 10
    error_message = "The threshold is 1 to 10."
  }
}

variable "lame_duck_seconds" {
  description = "How long a node that was asked to end serves on while health checks see it."
  type        = number
  default     = 45

  validation {
    condition     = var.lame_duck_seconds >= var.health_check.interval * var.health_check.threshold + 10
    error_message = "Health checks must see a node that ends before it ends: interval * threshold + 10 seconds at least."
  }

  validation {
    condition     = var.lame_duck_seconds <= 600
    error_message = "The daemon takes 600 seconds at most."
  }
}

variable "grace_seconds" {
  description = "How long connections may then take to end. The accelerator itself ends those that rest for 340 s."
  type        = number
  default     = 300

  validation {
    condition     = var.grace_seconds >= 1 && var.grace_seconds < 340
    error_message = "The grace is 1 to 339 seconds."
  }
}

variable "extra_config" {
  description = "Further sections of hostquorum.toml, as TOML: all but key, aws, https, http, peer, admin, health, edge and log, which the module writes."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("(?m)^\\s*\\[(key|aws|https|http|peer|admin|health|edge|log)\\]", var.extra_config))
    error_message = "The module writes key, aws, https, http, peer, admin, health, edge and log itself."
  }
}

variable "permissions_boundary" {
  description = "ARN of a policy that bounds the nodes' roles; null: none."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "ARNs in this Region that alarms tell."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
