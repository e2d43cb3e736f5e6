//! New orders (RFC 8555 section 7.4): what is asked, whether it is granted, and whether
//! an earlier order or an earlier proof will do.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::account::{Account, full};
use crate::authorization::{Authorization, AuthorizationStatus, Proof};
use crate::behaviour::Profile;
use crate::book::Record;
use crate::core::{Core, read};
use crate::entropy::{draw_id, draw_token};
use crate::identifier::{NameRules, order_names};
use crate::limits::{Admission, Exemption};
use crate::order::{Order, OrderStatus, Stage};
use crate::problem::{Identifier, Kind, Problem};
use crate::reply::Reply;
use crate::routes::Route;
use crate::step::Turn;
use crate::timestamp::Timestamp;

/// Bounds memory and disk (about 2 KB an order with its certificate).
const MAX_ORDERS: usize = 250_000;
/// An order for a set that got a certificate in this time is a renewal; as Boulder.
const RENEWAL_MEMORY: Duration = Duration::from_secs(120 * 24 * 60 * 60);

/// An earlier proof is used again only if it lasts for an eighth of the order's life, but
/// at least this and at most that; as Boulder, since the order ends with its proofs.
const LEAST_LEFT: Duration = Duration::from_secs(60 * 60);
const MOST_LEFT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Identifier>,
    not_before: Option<String>,
    not_after: Option<String>,
    replaces: Option<String>,
    profile: Option<String>,
}

/// What was asked, checked.
struct Wish {
    names: Vec<String>,
    profile: Option<String>,
    replaces: Option<String>,
    exemption: Exemption,
}

impl Core {
    /// RFC 8555 section 7.4: an order, with the authorizations it needs.
    ///
    /// The checks come in Boulder's order: pauses, the replacement, the profile, the
    /// limits, and only then whether an earlier order is handed out again; so that one
    /// costs a new order too.
    pub(crate) fn new_order(
        &mut self,
        account: &Account,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let request: NewOrder = read(payload)?;
        if request.not_before.is_some() || request.not_after.is_some() {
            return Err(Problem::malformed(
                "this CA sets the validity itself; leave out \"notBefore\" and \"notAfter\"",
            ));
        }
        let wish = self.checked(account, request, turn.now)?;
        if self.book.orders.rows().len() >= MAX_ORDERS {
            return Err(full("orders", MAX_ORDERS));
        }
        let admission = Admission {
            account: &account.id,
            names: &wish.names,
            exemption: wish.exemption,
        };
        self.meter
            .admit(&self.behaviour.limits, admission, turn.moment)
            .map_err(|denial| self.limited(&denial, turn.moment))?;
        let order = match self.reusable(account, &wish, turn.now) {
            Some(order) => order.clone(),
            None => self.make_order(account, wish, turn),
        };
        let url = self.links.to(&Route::Order(order.id.clone()));
        let body = self.order_json(&order, turn.now);
        Ok(Reply::json(StatusCode::CREATED, &body).location(&url))
    }

    fn checked(
        &self,
        account: &Account,
        request: NewOrder,
        now: Timestamp,
    ) -> Result<Wish, Problem> {
        let rules = NameRules {
            wildcards: self.behaviour.dns_01,
            public: self.behaviour.public_names,
        };
        let names = order_names(&request.identifiers, rules)?;
        let paused = self.meter.paused(&account.id, &names);
        if !paused.is_empty() {
            return Err(self.paused(&paused));
        }
        let replaces = request.replaces.as_deref();
        let replacing = match replaces {
            Some(id) => self.replacing(account, &names, id, now)?,
            None => None,
        };
        let profile = self.granted(request.profile, names.len())?;
        let exemption = match replacing {
            Some(replacing) if replacing.in_window => Exemption::RenewalWindow,
            _ if self.is_renewal(&names, now) => Exemption::SameSet,
            _ => Exemption::None,
        };
        Ok(Wish {
            names,
            profile,
            replaces: request.replaces.filter(|_| replacing.is_some()),
            exemption,
        })
    }

    /// The profile of an order that asks for `wanted`.
    fn granted(&self, wanted: Option<String>, names: usize) -> Result<Option<String>, Problem> {
        let profiles = &self.behaviour.profiles;
        if profiles.is_empty() || self.behaviour.ignore_profiles {
            return Ok(None);
        }
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let profile = profiles.get(&wanted).ok_or_else(|| {
            let detail = format!("profile name {wanted:?} not recognized");
            Problem::new(Kind::InvalidProfile, detail)
        })?;
        match profile.max_names {
            Some(most) if names > most => Err(Problem::malformed(format!(
                "the profile {wanted:?} takes at most {most} names, not {names}"
            ))),
            _ => Ok(Some(wanted)),
        }
    }

    pub(crate) fn profile_of(&self, name: Option<&String>) -> Option<&Profile> {
        self.behaviour.profiles.get(name?)
    }

    /// Whether a certificate for exactly these names was issued lately.
    pub(crate) fn is_renewal(&self, names: &[String], now: Timestamp) -> bool {
        let last = self.book.last_issued(names);
        last.is_some_and(|last| now.since(last) < RENEWAL_MEMORY)
    }

    /// The earlier order that Boulder would hand out: of those without a certificate that
    /// did not expire, of all accounts, the one that expires first is looked at, and no
    /// other.
    fn reusable(&self, account: &Account, wish: &Wish, now: Timestamp) -> Option<&Order> {
        if !self.behaviour.order_reuse {
            return None;
        }
        let orders = self.book.unfinalized(&wish.names);
        let first = orders
            .filter(|order| order.expires > now)
            .min_by_key(|order| order.expires)?;
        let status = first.status(&self.book, now);
        let open = matches!(status, OrderStatus::Pending | OrderStatus::Ready);
        let fits = first.account == account.id && first.profile == wish.profile;
        (open && fits).then_some(first)
    }

    fn make_order(&mut self, account: &Account, wish: Wish, turn: &mut Turn<'_>) -> Order {
        let profile = self.profile_of(wish.profile.as_ref());
        let lifetime = profile
            .and_then(|profile| profile.order_lifetime_seconds)
            .map_or(self.policy.order_lifetime, Duration::from_secs);
        let valid_for = self.behaviour.authorization_reuse_seconds.map(|usual| {
            let own = profile.and_then(|profile| profile.authorization_reuse_seconds);
            own.unwrap_or(usual)
        });
        let mut expires = turn.now.plus(lifetime);
        let soon = turn.now.plus((lifetime / 8).clamp(LEAST_LEFT, MOST_LEFT));
        let fresh = Authorization {
            id: String::new(),
            account: account.id.clone(),
            name: String::new(),
            token: String::new(),
            expires,
            state: Proof::Pending,
            dns_01: self.behaviour.dns_01,
            valid_for,
            profile: wish.profile.clone(),
        };
        let mut authorizations = Vec::with_capacity(wish.names.len());
        for name in &wish.names {
            if let Some(earlier) = self.still_proven(&fresh, name, (turn.now, soon)) {
                expires = expires.min(earlier.expires);
                authorizations.push(earlier.id.clone());
            } else {
                authorizations.push(self.authorize(&fresh, name, turn));
            }
        }
        let order = Order {
            id: draw_id(turn.entropy),
            account: account.id.clone(),
            names: wish.names,
            authorizations,
            created: turn.now,
            expires,
            finalizations: 0,
            stage: Stage::Open,
            profile: wish.profile,
            replaces: wish.replaces,
            exemption: wish.exemption,
            spoil: None,
            rivals: Vec::new(),
        };
        self.put(Record::Order(order.clone()), turn);
        order
    }

    /// An authorization that makes `fresh` needless: of the same account and profile, and
    /// valid until `soon` at least.
    fn still_proven(
        &self,
        fresh: &Authorization,
        name: &str,
        (now, soon): (Timestamp, Timestamp),
    ) -> Option<&Authorization> {
        self.behaviour.authorization_reuse_seconds?;
        let profile = fresh.profile.as_ref();
        let earlier = self.book.proven(&fresh.account, name, profile)?;
        let valid = earlier.status(now) == AuthorizationStatus::Valid;
        (valid && earlier.expires >= soon).then_some(earlier)
    }

    /// Makes an authorization like `fresh` for `name`; its id.
    fn authorize(&mut self, fresh: &Authorization, name: &str, turn: &mut Turn<'_>) -> String {
        let id = draw_id(turn.entropy);
        let authorization = Authorization {
            id: id.clone(),
            name: name.into(),
            token: draw_token(turn.entropy),
            ..fresh.clone()
        };
        self.put(Record::Authorization(authorization), turn);
        id
    }
}
