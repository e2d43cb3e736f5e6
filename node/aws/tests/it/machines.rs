//! Machines, as moto knows them. It looks at no signature, so what binds one to what is asked for is
//! tested where it is made.

use aws::{Account, Machine, Machines};
use aws_sdk_kms::config::Credentials;
use cluster::join::{Asking, MachineError, ThisMachine as _, Vouch as _};
use data_encoding::HEXLOWER;
use proto::cluster::v1::{MachineProof, machine_proof::Of};

use crate::{REGION, account_at};

const DIGEST: [u8; 32] = [0xab; 32];

/// A machine and the account as it has it.
async fn machine(cluster: &str, node: &str, role: &str, address: &str) -> (String, Machine) {
    let [id, key, secret, token] = moto::machine(REGION, address, [cluster, node, role]);
    let machine = with([key, secret, token], cluster, node).await;
    (id, machine)
}

async fn with([key, secret, token]: [String; 3], cluster: &str, node: &str) -> Machine {
    let given = Credentials::new(key, secret, Some(token), None, "tests");
    let kit = aws::environment()
        .credentials_provider(given)
        .endpoint_url(moto::url());
    let account = Account::load(kit, Some(REGION)).await.unwrap();
    Machine::new(account, cluster, node, 7444)
}

async fn member(cluster: &str) -> Machines {
    Machines::new(account_at(moto::url()).await, cluster)
}

fn asking<'a>(proof: &'a MachineProof, node: &'a str, source: &str) -> Asking<'a> {
    Asking {
        proof,
        digest: &DIGEST,
        node,
        source: source.parse().unwrap(),
    }
}

#[tokio::test]
async fn aws_vouches_for_the_machine_of_a_node_where_it_is() {
    let (id, b) = machine("vouched", "b", "vouched-b", "10.1.0.2").await;
    let member = member("vouched").await;
    let proof = b.prove(&DIGEST).await.unwrap();
    let told = member.vouch(asking(&proof, "b", "10.1.0.2")).await;
    let arn = format!("arn:aws:ec2:{REGION}:123456789012:instance/{id}");
    assert_eq!(told, Ok(arn));
    for (node, source, why) in [
        ("c", "10.1.0.2", "not vouched-c"),
        ("b", "10.1.0.3", "no address of the machine"),
    ] {
        let told = member.vouch(asking(&proof, node, source)).await;
        let Err(MachineError::Refused(told)) = told else {
            panic!("{told:?}")
        };
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_machine_whose_tags_are_anothers_is_not_vouched_for() {
    let (_, odd) = machine("tagged", "other", "tagged-b", "10.1.0.2").await;
    let proof = odd.prove(&DIGEST).await.unwrap();
    let told = member("tagged").await;
    let told = told.vouch(asking(&proof, "b", "10.1.0.2")).await;
    assert!(
        matches!(&told, Err(MachineError::Refused(why)) if why.contains("hostquorum:node")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_machine_that_ec2_does_not_know_yet_is_asked_about_again() {
    let given = moto::credentials(REGION, "young-b", "i-0123456789abcdef0");
    let young = with(given, "young", "b").await;
    let proof = young.prove(&DIGEST).await.unwrap();
    let told = member("young").await;
    let told = told.vouch(asking(&proof, "b", "10.1.0.2")).await;
    assert!(
        matches!(&told, Err(MachineError::Unavailable(why)) if why.contains("not know")),
        "{told:?}"
    );
}

#[tokio::test]
async fn whoever_has_no_machines_credentials_cannot_prove_anything() {
    let account = account_at(moto::url()).await;
    let person = Machine::new(account, "person", "b", 7444);
    let error = person.prove(&DIGEST).await.unwrap_err();
    assert!(
        error.to_string().contains("x-amz-security-token"),
        "{error}"
    );
    let nothing = MachineProof::default();
    let told = member("person").await;
    told.vouch(asking(&nothing, "b", "10.1.0.2"))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn what_is_signed_names_what_is_asked_for() {
    let (_, b) = machine("bound", "b", "bound-b", "10.1.0.2").await;
    let headers = |proof: MachineProof| {
        let Some(Of::Aws(proof)) = proof.of else {
            panic!("{proof:?}")
        };
        let (_, after) = proof.authorization.split_once("SignedHeaders=").unwrap();
        let (signed, signature) = after.split_once(", Signature=").unwrap();
        (signed.to_owned(), signature.to_owned())
    };
    let (signed, first) = headers(b.prove(&DIGEST).await.unwrap());
    assert!(signed.split(';').any(|name| name == "x-hostquorum-join"));
    let (_, other) = headers(b.prove(&[0xac; 32]).await.unwrap());
    assert_ne!(first, other, "{}", HEXLOWER.encode(&DIGEST));
}

#[tokio::test]
async fn others_of_the_cluster_are_found_by_their_tags() {
    let (_, a) = machine("found", "a", "found-a", "10.1.0.1").await;
    machine("found", "b", "found-b", "10.1.0.2").await;
    machine("elsewhere", "c", "elsewhere-c", "10.1.0.3").await;
    assert_eq!(a.sponsors().await.unwrap(), ["10.1.0.2:7444"]);
}

#[tokio::test]
async fn an_aws_that_is_away_is_asked_again_later() {
    let (_, b) = machine("away", "b", "away-b", "10.1.0.2").await;
    let proof = b.prove(&DIGEST).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let member = Machines::new(account_at(&nowhere).await, "away");
    let told = member.vouch(asking(&proof, "b", "10.1.0.2")).await;
    assert!(
        matches!(told, Err(MachineError::Unavailable(_))),
        "{told:?}"
    );
}
