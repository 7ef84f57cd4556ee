//! Whose models this device takes, and who may change it. See [`sirocco::wire::trust`], and `firmware/docs/signing.md`.
//!
//! Only the feature `signing` brings keys and the check of signatures. Without it a device holds no keys, and every check
//! here passes.

use sirocco::error::ModelError;
use sirocco::limits::collect;
use sirocco::model::Model;
use sirocco::model::signature::{Fingerprint, fingerprint};
use sirocco::wire::Request;
use sirocco::wire::image::{ImageRequest, SampleRequest};
use sirocco::wire::store::ModelRequest;
use sirocco::wire::trust::{LOWEST, Nonce, SESSION, Signed, State, TrustRefusal};

/// An ed25519 public key.
pub type PublicKey = [u8; 32];

/// Whether this firmware can hold keys. Where it cannot, the compiler leaves out what needs them.
pub(crate) const SIGNING: bool = cfg!(feature = "signing");

/// A session without a request for so long is closed, where the board measures time.
const IDLE_MS: u32 = 60_000;

/// The public keys of a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust {
    /// Keys for models.
    pub models: &'static [PublicKey],
    /// Keys of operators.
    pub operators: &'static [PublicKey],
}

impl Trust {
    /// The keys that this firmware was built with.
    #[cfg(feature = "signing")]
    pub fn built_in() -> Self {
        Trust { models: crate::keys::MODELS, operators: crate::keys::OPERATORS }
    }

    /// The keys that this firmware was built with: none.
    #[cfg(not(feature = "signing"))]
    pub fn built_in() -> Self {
        Trust::default()
    }

    /// Which keys the device holds and whether a session is open, as the host is told.
    pub(crate) fn state(&self, lowest: u32, session: &Session) -> State {
        if !SIGNING {
            return State { open: true, lowest, ..State::default() };
        }
        let names = |keys: &[PublicKey]| collect(keys.iter().map(fingerprint));
        let (models, operators) = (names(self.models), names(self.operators));
        State { models, operators, lowest, open: session.open || self.operators.is_empty() }
    }

    /// Checks the model at the start of an area, and returns its serial number; zero on a device without keys for models.
    ///
    /// # Errors
    /// [`ModelError`] if it is not a model, is not signed by one of the keys, or has a serial number below `lowest`.
    // Not inlined: a view of a file and a signature's check are large, and should not lie on the caller's stack.
    #[inline(never)]
    pub(crate) fn check(&self, area: &[u8], lowest: u32) -> Result<u32, ModelError> {
        if !SIGNING || self.models.is_empty() {
            return Ok(0);
        }
        let model = Model::open_prefix(area)?;
        let signature = model.signature()?.ok_or(ModelError::Unsigned)?;
        let (key, serial) = (signature.key, signature.serial);
        let public = find(self.models, key).ok_or(ModelError::UnknownKey { key })?;
        if !verify(public, &signature.bytes, signature.signed()) {
            return Err(ModelError::Forged { key });
        }
        if serial < lowest { Err(ModelError::Serial { serial, lowest }) } else { Ok(serial) }
    }

    /// Checks an operator's answer to a challenge.
    pub(crate) fn check_session(&self, nonce: &Nonce, signed: &Signed) -> Result<(), TrustRefusal> {
        check(self.operators, signed, [&SESSION[..], nonce].into_iter())
    }

    /// Checks a statement that sets the lowest serial number.
    pub(crate) fn check_lowest(&self, nonce: &Nonce, serial: u32, signed: &Signed) -> Result<(), TrustRefusal> {
        check(self.models, signed, [&LOWEST[..], nonce, &serial.to_le_bytes()].into_iter())
    }
}

fn find(keys: &'static [PublicKey], key: Fingerprint) -> Option<&'static PublicKey> {
    keys.iter().find(|public| fingerprint(public) == key)
}

fn check<'p>(
    keys: &'static [PublicKey],
    signed: &Signed,
    parts: impl Iterator<Item = &'p [u8]>,
) -> Result<(), TrustRefusal> {
    let key = signed.key;
    let public = find(keys, key).ok_or(TrustRefusal::UnknownKey { key })?;
    if verify(public, &signed.bytes(), parts) { Ok(()) } else { Err(TrustRefusal::Forged { key }) }
}

/// Verifies an ed25519 signature of the parts, one after the other, so that a model need not be copied together.
#[cfg(feature = "signing")]
fn verify<'p>(key: &PublicKey, signature: &[u8; 64], parts: impl Iterator<Item = &'p [u8]>) -> bool {
    use ed25519_compact::{PublicKey, Signature};

    let Ok(mut state) = PublicKey::new(*key).verify_incremental(&Signature::new(*signature)) else { return false };
    parts.for_each(|part| state.absorb(part));
    state.verify().is_ok()
}

/// Nothing is believed where nothing can be checked.
#[cfg(not(feature = "signing"))]
fn verify<'p>(_: &PublicKey, _: &[u8; 64], _: impl Iterator<Item = &'p [u8]>) -> bool {
    false
}

/// The conversation with an operator. It outlives a change of the model, but no reset.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Moments of past frames, which nobody else knows exactly.
    pool: u64,
    nonce: Option<Nonce>,
    open: bool,
    /// When the last request came, in milliseconds since reset.
    last: u32,
}

impl Session {
    /// Notes when a frame ended: `ticks` of the board's clock, and milliseconds since reset.
    pub(crate) fn note(&mut self, ticks: Option<u32>, now: Option<u32>) {
        if !SIGNING {
            return;
        }
        // Knuth's generator: past moments keep their influence.
        self.pool = self.pool.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1 + u64::from(ticks.unwrap_or(0)));
        if let Some(now) = now {
            self.open &= now.wrapping_sub(self.last) < IDLE_MS;
            self.last = now;
        }
    }

    /// Whether this request would change the device while its operators have opened no session. Questions are never refused.
    pub(crate) fn refuses(&self, trust: &Trust, request: &Request) -> bool {
        let changes = match request {
            Request::Model(request) => !matches!(request, ModelRequest::List | ModelRequest::Wear),
            Request::Samples(request) => matches!(request, SampleRequest::Clear),
            Request::Image(request) => matches!(request, ImageRequest::Threshold(_) | ImageRequest::Watch(_)),
            _ => false,
        };
        SIGNING && changes && !self.open && !trust.operators.is_empty()
    }

    /// A new nonce. `sequence` is the number of the next record in flash, so that no nonce is answered twice: the answer
    /// is recorded under this number before it counts.
    pub(crate) fn challenge(&mut self, sequence: u32) -> Nonce {
        let mut nonce = [0; 16];
        let bytes = sequence.to_le_bytes().into_iter().chain(self.pool.to_le_bytes()).chain(self.last.to_le_bytes());
        for (to, from) in nonce.iter_mut().zip(bytes) {
            *to = from;
        }
        self.nonce = Some(nonce);
        nonce
    }

    /// The nonce, which is used up.
    ///
    /// # Errors
    /// [`TrustRefusal::NoChallenge`] if there is none.
    pub(crate) fn take(&mut self) -> Result<Nonce, TrustRefusal> {
        self.nonce.take().ok_or(TrustRefusal::NoChallenge)
    }

    /// Opens or closes the session.
    pub(crate) fn set(&mut self, open: bool) {
        self.open = open;
    }
}
