//! Certificates and keys in PEM files. Errors do not contain the file's name; the caller adds it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::util::os_error::describe;

/// Caps the bytes of a key file that are inspected for the cause of an error.
const MAX_INSPECTED: u64 = 64 * 1024;

/// All certificates of the file; never an empty list.
///
/// # Errors
/// The fault of the file.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => Err(describe_pem_error(&Error::NoItemsFound, "certificate")),
        Ok(list) => Ok(list),
        Err(reason) => Err(describe_pem_error(&reason, "certificate")),
    }
}

/// The first private key of the file.
///
/// # Errors
/// The fault of the file.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|reason| {
        if !matches!(reason, Error::Io(_)) && is_encrypted(file) {
            let name = file.display();
            return format!(
                "its private key is encrypted with a password, which nobody could type in at a start: decrypt it \
                 once (openssl pkey -in {name} -out {name}.plain) and let only Sluice's user read it"
            );
        }
        describe_pem_error(&reason, "private key")
    })
}

/// True if the key is encrypted: PKCS #8 has it in the label, older forms in a header.
fn is_encrypted(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_INSPECTED).read_to_end(&mut start));
    let text = String::from_utf8_lossy(&start);
    read.is_ok()
        && (text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED"))
}

fn describe_pem_error(reason: &Error, wanted: &str) -> String {
    match reason {
        Error::Io(reason) => describe(reason),
        Error::NoItemsFound => format!("it holds no {wanted} in PEM form"),
        _ => format!("it is not valid PEM with a {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_key_is_called_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIF\n\
             -----END RSA PRIVATE KEY-----\n",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let message = private_key(file.path()).unwrap_err();
            assert!(message.contains("encrypted") && message.contains("openssl pkey"), "{message}");
        }
        std::fs::write(file.path(), "nothing").unwrap();
        assert_eq!(private_key(file.path()).unwrap_err(), "it holds no private key in PEM form");
        let message = private_key(Path::new("/nonexistent.key")).unwrap_err();
        assert_eq!(message, "no such file or directory");
    }
}
