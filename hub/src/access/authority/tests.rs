use std::{os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    version::TLS13,
};
use tern_protocol::time::WallTime;

use super::{change, tls::Time, *};
use crate::clock::Clock;

/// In 2027.
const NOW: WallTime = WallTime(1_800_000_000_000);

fn open(dir: &tempfile::TempDir) -> (Authorities, Clock) {
    let clock = Clock::by_hand(NOW);
    let names = ["hub.example".to_owned()];
    let opened = Authorities::open(dir.path(), &names, clock.clone());
    (opened.expect("opens"), clock)
}

fn fresh() -> (tempfile::TempDir, Authorities, Clock) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (authorities, clock) = open(&dir);
    (dir, authorities, clock)
}

fn request(key: &KeyPair) -> String {
    let request = CertificateParams::default().serialize_request(key);
    request.expect("signs").pem().expect("PEM")
}

/// A client's key and certificate chain.
type Client = (KeyPair, String);

fn device(authorities: &Authorities) -> Client {
    let key = KeyPair::generate().expect("a key");
    let request = DeviceKey::from_request(&request(&key)).expect("a good request");
    let (workspace, device) = (
        "default".parse().expect("a name"),
        "d1".parse().expect("a name"),
    );
    let life = Duration::from_hours(24);
    let issued = authorities.issue(&workspace, &device, &request, life);
    (key, issued.expect("issues").chain)
}

/// Shakes hands in memory, as `name`, trusting `anchors` only.
fn shake(
    authorities: &Authorities,
    clock: &Clock,
    anchors: &[CertificateDer<'static>],
    (key, chain): &Client,
    name: &str,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(anchor.clone())?;
    }
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(ring::default_provider());
    let time = Arc::new(Time(clock.clone()));
    let config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    let name = name.to_owned().try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let tls = Arc::clone(&authorities.tls().borrow());
    let mut server = ServerConnection::new(Arc::clone(&tls.mqtt))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        let mut bytes: &[u8] = &wire;
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).expect("memory");
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        let mut bytes: &[u8] = &wire;
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).expect("memory");
            client.process_new_packets()?;
        }
    }
    Ok(())
}

/// Certificates of the authorities that vouch for the hub, the one in force first.
fn anchors(authorities: &Authorities) -> Vec<CertificateDer<'static>> {
    let bundle = authorities.trusted().bundle();
    let all = CertificateDer::pem_slice_iter(bundle.as_bytes());
    all.collect::<Result<_, _>>().expect("PEM")
}

#[test]
fn keys_are_for_their_owner_only_and_a_restart_reads_them_again() {
    let (dir, authorities, _) = fresh();
    let ca = dir.path().join("ca");
    let mode = |path: &std::path::Path| {
        let about = std::fs::metadata(path).expect("is there");
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode(&ca), 0o700);
    let id = authorities.trusted().views()[0].id.clone();
    assert_eq!(mode(&ca.join(format!("{id}.key"))), 0o600);
    let (again, _) = open(&dir);
    assert_eq!(again.trusted().pin(), authorities.trusted().pin());
}

#[test]
fn devices_and_hub_know_each_other_and_nobody_else() {
    let (_dir, authorities, clock) = fresh();
    let own = anchors(&authorities);
    let client = device(&authorities);
    for name in ["hub.example", "localhost", "127.0.0.1", "::1"] {
        shake(&authorities, &clock, &own, &client, name).expect(name);
    }
    let wrong_name = shake(&authorities, &clock, &own, &client, "other.example");
    assert!(wrong_name.is_err());
    let (_other, stranger, _) = fresh();
    let strange = shake(&authorities, &clock, &own, &device(&stranger), "localhost");
    assert!(strange.is_err(), "a certificate of another hub");
    let strange = shake(
        &authorities,
        &clock,
        &anchors(&stranger),
        &client,
        "localhost",
    );
    assert!(strange.is_err(), "a hub of another authority");
    clock.advance(Duration::from_hours(2 * 24));
    let late = shake(&authorities, &clock, &own, &client, "localhost");
    assert!(late.is_err(), "an expired certificate");
}

#[test]
fn who_pins_only_the_first_authority_verifies_the_hub_after_two_rotations() {
    let (dir, authorities, clock) = fresh();
    let first = anchors(&authorities);
    let old = device(&authorities);
    let ca = CaDir::within(dir.path()).expect("is there");
    for _ in 0..2 {
        change::rotate(&ca, None, NOW).expect("rotates");
        assert!(authorities.look().expect("reads"), "it noticed");
        shake(&authorities, &clock, &first, &old, "hub.example").expect("pins the old one");
        let new = device(&authorities);
        let newest = anchors(&authorities)[..1].to_vec();
        shake(&authorities, &clock, &newest, &new, "hub.example").expect("pins the new one");
        shake(&authorities, &clock, &newest, &old, "hub.example").expect("has an old certificate");
    }
    assert!(!authorities.look().expect("reads"), "nothing changed");
    // Retired: its devices are shut out, and the one in force stays.
    let views = authorities.trusted().views();
    assert!(matches!(
        change::retire(&ca, &views[2].id),
        Err(AuthorityError::Issues(_))
    ));
    change::retire(&ca, &views[0].id).expect("retires");
    authorities.look().expect("reads");
    let bundle = anchors(&authorities);
    assert!(shake(&authorities, &clock, &bundle, &old, "hub.example").is_err());
    assert!(!dir.path().join(format!("ca/{}.key", views[0].id)).exists());
}

#[test]
fn the_hub_renews_its_own_certificate_at_half_its_life() {
    let (_dir, authorities, clock) = fresh();
    let client = device(&authorities);
    drop(client);
    clock.advance(Duration::from_hours(44 * 24));
    assert!(!authorities.look().expect("reads"));
    clock.advance(Duration::from_hours(2 * 24));
    assert!(authorities.look().expect("reads"));
    clock.advance(Duration::from_hours(60 * 24));
    let (own, client) = (anchors(&authorities), device(&authorities));
    shake(&authorities, &clock, &own, &client, "localhost").expect("106 days after the start");
}

fn outside(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

#[test]
fn an_imported_intermediate_leads_to_its_root_and_to_the_authority_before() {
    let (dir, authorities, clock) = fresh();
    let first = anchors(&authorities);
    let root = KeyPair::generate().expect("a key");
    let root = CertifiedIssuer::self_signed(outside("root"), root).expect("signs");
    let key = KeyPair::generate().expect("a key");
    let below = outside("below").signed_by(&key, &root).expect("signs");
    let ca = CaDir::within(dir.path()).expect("is there");
    let files = format!("{}{}", below.pem(), root.pem());
    change::import(&ca, &files, &key.serialize_pem(), None, NOW).expect("imports");
    authorities.look().expect("reads");
    let client = device(&authorities);
    for anchor in [first, vec![root.der().clone()], vec![below.der().clone()]] {
        shake(&authorities, &clock, &anchor, &client, "localhost").expect("verifies");
    }

    // It may not sign lists, and keeps the other authority from nothing.
    let lists = authorities.revocation_lists(&[]).expect("signs");
    assert_eq!(lists.matches("BEGIN X509 CRL").count(), 1);

    let other = KeyPair::generate().expect("a key").serialize_pem();
    let leaf = CertificateParams::default();
    let leaf = leaf.signed_by(&key, &root).expect("signs");
    for (files, key, said) in [
        (files.as_str(), other.as_str(), "does not belong"),
        (&leaf.pem(), &key.serialize_pem(), "may not issue"),
        ("", &other, "no certificate"),
        (&files, "", "cannot be read"),
        (&files, &key.serialize_pem(), "already"),
    ] {
        let refused = change::import(&ca, files, key, None, NOW).expect_err("is refused");
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

#[test]
fn signing_requests_prove_a_key_of_one_kind() {
    let key = KeyPair::generate().expect("a key");
    let good = request(&key);
    let own = DeviceKey::from_request(&good).expect("is good").digest();
    for alg in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(alg).expect("a key");
        let refused = DeviceKey::from_request(&request(&key));
        assert_eq!(refused, Err(RequestError::Kind));
    }
    let der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(good.as_bytes());
    let der = der.expect("PEM").to_vec();
    let armour = |der: &[u8]| {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    };
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        // What is not signed (how the signature is wrapped) may change; the key may not.
        let key = DeviceKey::from_request(&armour(&changed)).map(|key| key.digest());
        assert!(key.is_err() || key == Ok(own), "byte {at}");
        assert!(
            DeviceKey::from_request(&armour(&der[..at])).is_err(),
            "cut at {at}"
        );
    }
    for garbage in ["", "x", &armour(b""), &armour(&[0x30; 4_000])] {
        assert_eq!(DeviceKey::from_request(garbage), Err(RequestError::Format));
    }
}

/// The lists in a PEM text.
fn lists(pem: &str) -> Vec<x509_parser::pem::Pem> {
    let all = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    all.collect::<Result<_, _>>().expect("PEM")
}

#[test]
fn a_list_names_the_revoked_certificates_of_its_authority_alone() {
    use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_crl};
    let (dir, authorities, clock) = fresh();
    let ca = CaDir::within(dir.path()).expect("is there");
    let first = authorities.trusted().all()[0].id.clone();
    change::rotate(&ca, None, clock.now()).expect("rotates");
    authorities.look().expect("looks");
    let revoked = [
        Revoked {
            authority: first,
            serial: "4a00ff".into(),
        },
        Revoked {
            authority: "another".into(),
            serial: "01".into(),
        },
    ];
    let printed = authorities.revocation_lists(&revoked).expect("signs");
    let lists = lists(&printed);
    let trusted = authorities.trusted();
    assert_eq!(lists.len(), trusted.all().len(), "empty ones too");
    for (place, (list, authority)) in lists.iter().zip(trusted.all()).enumerate() {
        let (_, list) = parse_x509_crl(&list.contents).expect("a list");
        let (_, own) = X509Certificate::from_der(&authority.certificate).expect("one");
        list.verify_signature(own.public_key()).expect("is its own");
        let serials: Vec<_> = list.iter_revoked_certificates().collect();
        assert_eq!(serials.len(), usize::from(place == 0));
        for serial in serials {
            assert_eq!(serial.raw_serial_as_string(), "4a:00:ff");
        }
    }
}

#[test]
fn the_hub_as_a_client_shows_no_root_that_a_broker_may_not_know() {
    let (dir, authorities, clock) = fresh();
    let before = anchors(&authorities);
    let ca = CaDir::within(dir.path()).expect("is there");
    change::rotate(&ca, None, clock.now()).expect("rotates");
    authorities.look().expect("looks");
    let (chain, _) = authorities.client("tern-hub-in").expect("issues");
    let roots = authorities.trusted().anchors();
    assert!(chain.iter().all(|one| !roots.contains(one)));
    // Who knows the authority before alone finds the way by the cross certificate.
    let roots = Arc::new(RootCertStore {
        roots: before.iter().map(|one| webpki_anchor(one)).collect(),
    });
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
    let verifier = verifier.build().expect("has a root");
    let ms = u64::try_from(clock.now().0).expect("after 1970");
    let now = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_millis(ms));
    verifier
        .verify_client_cert(&chain[0], &chain[1..], now)
        .expect("vouched for");
}

fn webpki_anchor(root: &CertificateDer<'static>) -> rustls::pki_types::TrustAnchor<'static> {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).expect("a root");
    store.roots.remove(0)
}
