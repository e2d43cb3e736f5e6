use super::*;
use state::{
    Actor, Term,
    testing::{Alone, ManualClock, account_key, ca_name},
};
use std::sync::Arc;

const TERM: Term = Term(1);

fn plan_of(alone: &Alone, memory: &Memory) -> Result<Option<Step>, TermsNotAgreed> {
    let state = alone.state();
    plan(&state, state.ca("test-ca").unwrap(), memory)
}

fn edit(alone: &Alone, edit: impl FnOnce(&mut state::CaSettings)) {
    let mut settings = alone.state().ca("test-ca").unwrap().settings.clone();
    edit(&mut settings);
    let put = Change::PutCa {
        name: ca_name(),
        settings: Box::new(settings),
        revision: None,
    };
    alone.apply(Actor::operator("ann"), None, put);
}

#[test]
fn an_account_gets_a_key_then_a_url_then_contacts_but_nothing_without_terms() {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    let memory = Memory::default();
    edit(&alone, |settings| settings.terms_agreed = false);
    assert_eq!(plan_of(&alone, &memory), Err(TermsNotAgreed));
    edit(&alone, |settings| settings.terms_agreed = true);
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::CommitKey)));
    alone.duty(
        TERM,
        Change::TakeOver {
            node: state::NodeId(1),
        },
    );
    let (ca, key) = (ca_name(), account_key("t"));
    alone.duty(
        TERM,
        Change::CommitAccountKey {
            ca: ca.clone(),
            key,
        },
    );
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::Register)));
    let url = "https://ca.example/account/1".to_owned();
    alone.duty(
        TERM,
        Change::RegisterAccount {
            ca: ca.clone(),
            url,
        },
    );
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::TellContacts)));
    let contacts = vec!["mailto:ops@saas.example".to_owned()];
    memory.edit(&ca, |it| it.contacts = Some(contacts));
    assert_eq!(plan_of(&alone, &memory), Ok(None));
    edit(&alone, |settings| settings.contacts.clear());
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::TellContacts)));
}

#[test]
fn a_key_is_changed_once_no_challenge_is_open() {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    let memory = Memory::default();
    edit(&alone, |settings| settings.contacts.clear());
    alone.register(TERM, "thumbprint");
    alone.authorize("shop.example");
    let key = account_key("sealed").sealed;
    let order = alone.prepare(TERM, "shop.example", key, "token");
    let roll = Change::RollAccountKey { ca: ca_name() };
    alone.apply(Actor::operator("ann"), None, roll);
    assert_eq!(plan_of(&alone, &memory), Ok(None));
    alone.duty(TERM, Change::IntendFinalize { order });
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::CommitKey)));
    let (ca, key) = (ca_name(), account_key("next"));
    alone.duty(TERM, Change::CommitAccountKey { ca, key });
    assert_eq!(plan_of(&alone, &memory), Ok(Some(Step::ChangeKey)));
}
