//! The parameter store as the place where nodes of a cluster meet. Below the cluster's name:
//! `cluster` says who founded which cluster, and is never overwritten; `nodes/NODE/invitation` is a
//! SecureString that lets that node in.

use async_trait::async_trait;
use cluster::{
    meeting::{Claim, Invitation, Meeting, MeetingError},
    token::{RootPin, Token},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use state::ClusterId;

use crate::{account::Account, json::Json, said::Failure, signed::Service};

const SSM: Json = Json {
    service: Service {
        name: "ssm",
        id: "SSM",
    },
    target: "AmazonSSM",
};

/// The parameters of one cluster, as one of its nodes may reach them.
#[derive(Clone, Debug)]
pub struct Parameters {
    account: Account,
    cluster: String,
    node: String,
}

/// The claim as written.
#[derive(Debug, Serialize, Deserialize)]
struct ClaimText {
    founder: String,
    /// 32 hexadecimal digits.
    cluster: String,
    /// SHA-256 of the root's public key, in hexadecimal digits.
    root_sha256: String,
}

/// An invitation as written.
#[derive(Deserialize)]
struct InvitationText {
    sponsor: String,
    token: String,
}

impl Parameters {
    /// Those of `cluster`, for `node`.
    pub fn new(account: Account, cluster: &str, node: &str) -> Self {
        Self {
            account,
            cluster: cluster.to_owned(),
            node: node.to_owned(),
        }
    }

    fn claim_name(&self) -> String {
        format!("/{}/cluster", self.cluster)
    }

    fn invitation_name(&self) -> String {
        format!("/{}/nodes/{}/invitation", self.cluster, self.node)
    }

    async fn get(&self, name: &str) -> Result<Option<String>, MeetingError> {
        let asked = json!({ "Name": name, "WithDecryption": true });
        match SSM.ask(&self.account, "GetParameter", &asked).await {
            Ok(answer) => {
                let value = answer["Parameter"]["Value"].as_str();
                value.map(|value| Some(value.to_owned())).ok_or_else(|| {
                    MeetingError::Refused(format!("the parameter {name} was told without a value"))
                })
            }
            Err(Failure::Answered { code, .. }) if code == "ParameterNotFound" => Ok(None),
            Err(failure) => Err(failed("GetParameter", name, failure)),
        }
    }

    /// `false` if it is there already.
    async fn create(&self, name: &str, value: &str) -> Result<bool, MeetingError> {
        let asked = json!({ "Name": name, "Value": value, "Type": "String", "Overwrite": false });
        match SSM.ask(&self.account, "PutParameter", &asked).await {
            Ok(_) => Ok(true),
            Err(Failure::Answered { code, .. }) if code == "ParameterAlreadyExists" => Ok(false),
            Err(failure) => Err(failed("PutParameter", name, failure)),
        }
    }
}

fn failed(action: &str, name: &str, failure: Failure) -> MeetingError {
    match failure {
        Failure::Out(why) => MeetingError::Unavailable {
            what: format!("ssm:{action} of {name} was not answered"),
            source: why.into(),
        },
        Failure::Answered { code, words } => MeetingError::Refused(format!(
            "ssm:{action} of {name} was refused: {code}: {words}. Allow it to this node's role, \
             and kms:Decrypt of the key that its invitation is sealed by"
        )),
    }
}

fn unreadable(name: &str, what: &str) -> MeetingError {
    MeetingError::Refused(format!(
        "the parameter {name} does not hold {what}: was it written by something else? Delete it, \
         with rights of your own, if no cluster of that name is to be kept"
    ))
}

#[async_trait]
impl Meeting for Parameters {
    async fn claim(&self, claim: &Claim) -> Result<bool, MeetingError> {
        let text = ClaimText {
            founder: claim.founder.clone(),
            cluster: claim.cluster.to_string(),
            root_sha256: HEXLOWER.encode(&claim.root.0),
        };
        let value = serde_json::to_value(text)
            .unwrap_or(Value::Null)
            .to_string();
        self.create(&self.claim_name(), &value).await
    }

    async fn claimed(&self) -> Result<Option<Claim>, MeetingError> {
        let name = self.claim_name();
        let Some(value) = self.get(&name).await? else {
            return Ok(None);
        };
        let claim = read_claim(&value);
        claim.map(Some).ok_or_else(|| unreadable(&name, "a claim"))
    }

    async fn invitation(&self) -> Result<Option<Invitation>, MeetingError> {
        let name = self.invitation_name();
        let Some(value) = self.get(&name).await? else {
            return Ok(None);
        };
        let invitation = read_invitation(&value);
        let invitation = invitation.ok_or_else(|| unreadable(&name, "an invitation"))?;
        Ok(Some(invitation))
    }
}

fn read_claim(value: &str) -> Option<Claim> {
    let text: ClaimText = serde_json::from_str(value).ok()?;
    let root = HEXLOWER.decode(text.root_sha256.as_bytes()).ok()?;
    let cluster: ClusterId = text.cluster.parse().ok()?;
    Some(Claim {
        founder: text.founder,
        cluster,
        root: RootPin(root.try_into().ok()?),
    })
}

fn read_invitation(value: &str) -> Option<Invitation> {
    let text: InvitationText = serde_json::from_str(value).ok()?;
    let token: Token = text.token.parse().ok()?;
    Some(Invitation {
        sponsor: text.sponsor,
        token,
    })
}
