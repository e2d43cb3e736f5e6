//! What serving needs of the state, swapped by pointer.

use std::sync::Arc;

use arc_swap::ArcSwap;
use state::{
    Ca, Certificate, Challenge, Hostname, HostnameRecord, Index, Origin, State, Traffic, Zone,
    ports::Reading,
};
use tokio::{runtime::Handle, sync::watch};

/// One state as the edge serves it. Shares its structure with the state; making
/// one costs two pointers.
#[derive(Clone, Debug)]
pub struct View {
    state: Arc<State>,
    partial: bool,
}

/// What a server name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// Not authorized here.
    Unknown,
    /// Authorized, but without a certificate yet.
    Pending,
    /// To be served with this certificate.
    With {
        /// Which.
        certificate: Arc<Certificate>,
        /// Whose the name is: the claim of its hostname, else of the one above.
        claim: Index,
    },
}

/// A name that is served, and how its traffic is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was decided for its hostname; absent: all is as in the zone.
    pub traffic: Option<Arc<Traffic>>,
    /// The hostname is the one above, which is for all names below it. An exact hostname
    /// counts before it, whatever it decides.
    pub below: bool,
}

impl Known {
    /// The hostname that `name` is served for.
    pub fn hostname<'a>(&self, name: &'a str) -> &'a str {
        match name.split_once('.') {
            Some((_, above)) if self.below => above,
            _ => name,
        }
    }
}

impl View {
    /// The view of `state`.
    pub const fn new(state: Arc<State>) -> Self {
        Self {
            state,
            partial: false,
        }
    }

    /// The view of a state that is still being read: of hostnames it shows only those that
    /// were looked up.
    pub(crate) const fn partial(state: Arc<State>) -> Self {
        Self {
            state,
            partial: true,
        }
    }

    /// The log index that it shows.
    pub fn index(&self) -> Index {
        self.state.index()
    }

    /// True if `name`, in lower case, is authorized or served with what covers it.
    pub fn knows(&self, name: &str) -> bool {
        self.state.hostname(name).is_some() || self.covering(name).is_some()
    }

    /// The same, with how its traffic is served.
    pub fn known(&self, name: &str) -> Option<Known> {
        let (record, below) = match self.state.hostname(name) {
            Some(record) => (record, false),
            None => (self.covering(name)?.0, true),
        };
        let traffic = record.traffic.clone();
        Some(Known { traffic, below })
    }

    /// True if nothing here says what `name`, in lower case, is: it is not authorized, nor was
    /// it removed, nor is it one label below a wildcard, and all of the state is there to say so.
    pub fn is_strange(&self, name: &str) -> bool {
        let above = name.split_once('.').map(|(_, above)| above);
        let above = above.and_then(|above| self.state.hostname(above));
        !self.partial
            && self.state.hostname(name).is_none()
            && self.state.tombstone(name).is_none()
            && !above.is_some_and(HostnameRecord::is_wildcard)
    }

    /// What to present for `name`, in lower case: its own certificate, else one that is
    /// for all names beside it.
    pub fn served(&self, name: &str) -> Served {
        let record = self.state.hostname(name);
        let own = record.and_then(|record| {
            let certificate = self.state.certificate(&record.certificate?)?;
            Some((record, certificate))
        });
        match own.or_else(|| self.covering(name)) {
            Some((served, certificate)) => Served::With {
                certificate: Arc::clone(certificate),
                claim: record.unwrap_or(served).claim,
            },
            None if record.is_some() => Served::Pending,
            None => Served::Unknown,
        }
    }

    /// The hostname one label above and its certificate, if it is for all names below that.
    /// What another tenant has authorized is not served with it.
    fn covering(&self, name: &str) -> Option<(&HostnameRecord, &Arc<Certificate>)> {
        let (_, above) = name.split_once('.')?;
        let record = self.state.hostname(above)?;
        let own = self.state.hostname(name);
        if !record.is_wildcard() || own.is_some_and(|own| own.tenant != record.tenant) {
            return None;
        }
        let certificate = self.state.certificate(&record.certificate?)?;
        certificate.wildcard.then_some((record, certificate))
    }

    /// Where requests for an authorized name go, if that was set.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.state.zone().origin.as_ref()
    }

    /// The challenge of an order in flight.
    pub fn challenge(&self, token: &str) -> Option<Challenge> {
        self.state.challenge(token)
    }

    /// What a CA wants to see of `name`, in lower case, in a handshake for
    /// `acme-tls/1` (RFC 8737 section 3).
    pub fn alpn_digest(&self, name: &str) -> Option<[u8; 32]> {
        self.state.alpn_challenge(name)
    }

    /// The texts that a CA wants to see at a label, in lower case, of the zone of
    /// challenges (RFC 8555 section 8.4).
    pub fn dns_texts(&self, label: &str) -> Vec<String> {
        self.state.dns_challenges(label)
    }

    /// What operators decided about the zone.
    pub fn zone(&self) -> &Zone {
        self.state.zone()
    }

    /// The CAs that certificates may come from.
    pub fn cas(&self) -> impl Iterator<Item = &Arc<Ca>> {
        self.state.cas()
    }

    /// The thumbprint of the account that `name` would be ordered by: that of its order
    /// in flight, else of the CA that is asked first.
    pub fn thumbprint(&self, name: &str) -> Option<&str> {
        let order = self.state.hostname(name).and_then(|record| record.order);
        let ca = order.and_then(|id| self.state.ca(self.state.order(id)?.ca.as_str()));
        match ca {
            Some(ca) => ca.thumbprint(),
            None => self.state.cas_by_rank().first()?.thumbprint(),
        }
    }

    /// `name` as a value of its own, if it is known.
    pub fn hostname(&self, name: &str) -> Option<Hostname> {
        if self.knows(name) {
            Hostname::parse(name).ok()
        } else {
            None
        }
    }

    /// True if `name`, in lower case, is authorized itself: a CA may be told that it is
    /// ours.
    pub fn is_authorized(&self, name: &str) -> bool {
        self.state.hostname(name).is_some()
    }
}

/// The view that every new connection and request sees, shared by all cores.
pub(crate) type Present = Arc<ArcSwap<View>>;

/// What is served before the first state is whole.
pub(crate) fn first(states: &watch::Receiver<Arc<State>>, reading: &dyn Reading) -> View {
    let so_far = reading.so_far();
    let whole = Arc::clone(&states.borrow());
    if whole.index() < so_far.index() {
        View::partial(so_far)
    } else {
        View::new(whole)
    }
}

/// Makes sure that a partial view shows what `name` is served with.
pub(crate) async fn look_up(
    present: &Present,
    reading: &Arc<dyn Reading>,
    threads: &Handle,
    name: &str,
) {
    if !present.load().partial {
        return;
    }
    let (asked, of) = (Arc::clone(reading), name.to_owned());
    let looked = threads.spawn_blocking(move || asked.look_up(&of)).await;
    match looked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(hostname = %name, %error, "cannot be looked up"),
        // The edge ends.
        Err(_) => return,
    }
    present.rcu(|view| {
        if view.partial {
            Arc::new(View::partial(reading.so_far()))
        } else {
            Arc::clone(view)
        }
    });
}

/// Turns each new state into the present view, and says so once nobody can see
/// an earlier one any more. Ends when the states end; the last view stays.
pub(crate) async fn publish(
    mut states: watch::Receiver<Arc<State>>,
    present: Present,
    published: watch::Sender<Index>,
) {
    loop {
        let view = View::new(Arc::clone(&states.borrow_and_update()));
        let index = view.index();
        // A state that is still being read is empty, and its first view is not.
        if index >= present.load().index() {
            present.store(Arc::new(view));
            published.send_replace(index);
        }
        if states.changed().await.is_err() {
            tracing::debug!(%index, "no more states; serving the last one");
            return;
        }
    }
}
