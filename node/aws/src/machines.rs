//! Machines as AWS knows them. A machine signs `sts:GetCallerIdentity` with the credentials that
//! its role gave it, and hands the signature over; a member sends that request to AWS itself, and
//! so learns whose the credentials are without ever having them. What was signed names the
//! connection and all that the machine asks for, so that it is of use nowhere else.
//!
//! The role of node `b` of the cluster `edge` is `edge-b`, and its machine carries the tags
//! `hostquorum:cluster = edge` and `hostquorum:node = b`, as the Terraform module makes them.

mod proof;
mod told;

use async_trait::async_trait;
use cluster::join::{Asking, MachineError, ThisMachine, Vouch};
use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue};
use proto::cluster::v1::{MachineProof, machine_proof::Of};

use self::{
    proof::{Signature, proof_of},
    told::{Caller, Instance},
};
use crate::{
    account::Account,
    query::Query,
    said::Failure,
    signed::{Call, Service, Signer},
};

const STS: Query = Query {
    service: Service {
        name: "sts",
        id: "STS",
    },
    version: "2011-06-15",
};

const EC2: Query = Query {
    service: Service {
        name: "ec2",
        id: "EC2",
    },
    version: "2016-11-15",
};

/// The header that binds what is signed to what is asked for.
const BINDING_NAME: &str = "x-hostquorum-join";
const BINDING: HeaderName = HeaderName::from_static(BINDING_NAME);

/// Who the credentials are, bound to `digest`.
fn caller_identity(digest: &[u8; 32]) -> Result<Call, MachineError> {
    let digest = HeaderValue::from_str(&HEXLOWER.encode(digest));
    let digest = digest.map_err(|error| MachineError::Refused(error.to_string()))?;
    Ok(STS.call("GetCallerIdentity", &[(BINDING, digest)]))
}

/// The machine that this process runs on.
#[derive(Clone, Debug)]
pub struct Machine {
    account: Account,
    cluster: String,
    node: String,
    admin_port: u16,
}

impl Machine {
    /// That of `node` of `cluster`, whose machines all have their admin ports at `admin_port`.
    pub fn new(account: Account, cluster: &str, node: &str, admin_port: u16) -> Self {
        Self {
            account,
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            admin_port,
        }
    }
}

#[async_trait]
impl ThisMachine for Machine {
    async fn sponsors(&self) -> Result<Vec<String>, MachineError> {
        // Names of clusters are such that a form takes them as they are.
        let call = EC2.call(
            &format!(
                "DescribeInstances&Filter.1.Name=tag%3Ahostquorum%3Acluster&Filter.1.Value.1={}\
                 &Filter.2.Name=instance-state-name&Filter.2.Value.1=running",
                self.cluster
            ),
            &[],
        );
        let instances = instances(&self.account, &call).await?;
        let others = instances
            .iter()
            .filter(|instance| instance.tag("hostquorum:node") != Some(&self.node));
        let addresses = others.filter_map(|instance| instance.private_address);
        let port = self.admin_port;
        Ok(addresses
            .map(|address| std::net::SocketAddr::new(address, port).to_string())
            .collect())
    }

    async fn prove(&self, digest: &[u8; 32]) -> Result<MachineProof, MachineError> {
        let call = caller_identity(digest)?;
        let headers = STS.service.sign(&self.account, &call).await;
        let headers = headers.map_err(|failure| failed("sts:GetCallerIdentity", failure))?;
        Ok(MachineProof {
            of: Some(Of::Aws(proof_of(&headers)?)),
        })
    }
}

/// Has AWS vouch for the machines of a cluster.
#[derive(Clone, Debug)]
pub struct Machines {
    account: Account,
    cluster: String,
}

impl Machines {
    /// Of `cluster`, in the account and the Region of this node.
    pub fn new(account: Account, cluster: &str) -> Self {
        Self {
            account,
            cluster: cluster.to_owned(),
        }
    }

    async fn caller(&self, call: &Call, signer: Signer<'_>) -> Result<Caller, Failure> {
        let answer = STS.ask(&self.account, call, signer).await?;
        Caller::read(&answer).ok_or_else(|| Failure::Out("STS told no identity".to_owned()))
    }
}

#[async_trait]
impl Vouch for Machines {
    async fn vouch(&self, asking: Asking<'_>) -> Result<String, MachineError> {
        let refused = |why: String| MachineError::Refused(why);
        let Some(Of::Aws(sent)) = &asking.proof.of else {
            return Err(refused("this is no proof by AWS".to_owned()));
        };
        let region = self.account.config().region();
        let region = region.map(|region| region.as_ref()).unwrap_or_default();
        let signature = Signature::read(sent, region).map_err(refused)?;
        let call = caller_identity(asking.digest)?;
        let own = self.caller(&call, Signer::Account).await;
        let own = own.map_err(|failure| failed("sts:GetCallerIdentity of this node", failure))?;
        let theirs = self.caller(&call, Signer::Other(signature.headers())).await;
        let theirs = theirs.map_err(|failure| match failure {
            Failure::Answered { code, words } => refused(format!(
                "AWS does not take what this machine signed: {code}: {words}"
            )),
            out @ Failure::Out(_) => failed("sts:GetCallerIdentity", out),
        })?;
        let (role, id) = theirs.machine_of(&own).map_err(refused)?;
        let wanted = format!("{}-{}", self.cluster, asking.node);
        if role != wanted {
            return Err(refused(format!(
                "the machine {id} has the role {role}, not {wanted}, which node {} of this cluster \
                 has",
                asking.node
            )));
        }
        let call = EC2.call(&format!("DescribeInstances&InstanceId.1={id}"), &[]);
        let instances = instances(&self.account, &call).await?;
        let instance = instances.iter().find(|instance| instance.id == id);
        let instance =
            instance.ok_or_else(|| refused(format!("there is no machine {id} in {region}")))?;
        let tags = [
            ("hostquorum:cluster", &*self.cluster),
            ("hostquorum:node", asking.node),
        ];
        instance.check(asking.source, &tags).map_err(refused)?;
        Ok(theirs.arn_of(region, id))
    }
}

async fn instances(account: &Account, call: &Call) -> Result<Vec<Instance>, MachineError> {
    let answer = EC2.ask(account, call, Signer::Account).await;
    let answer = answer.map_err(|failure| match failure {
        // A machine that was made a moment ago is not known everywhere.
        Failure::Answered { code, words } if code == "InvalidInstanceID.NotFound" => {
            MachineError::Unavailable(format!("EC2 does not know the machine yet: {words}"))
        }
        failure => failed("ec2:DescribeInstances", failure),
    })?;
    Instance::read_all(&answer)
        .ok_or_else(|| MachineError::Unavailable("EC2 told of no instances".to_owned()))
}

fn failed(action: &str, failure: Failure) -> MachineError {
    match failure {
        Failure::Out(why) => MachineError::Unavailable(format!("{action} was not answered: {why}")),
        Failure::Answered { code, words } => MachineError::Refused(format!(
            "{action} was refused: {code}: {words}. Allow it to the nodes' roles"
        )),
    }
}
