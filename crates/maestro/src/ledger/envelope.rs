//! How a document is kept in a file: with its format's number, and with a checksum, because a file that an engine was
//! writing when it died may be there in part.

use maestro_core::boundary::Document;
use sha2::{Digest, Sha256};

/// The envelope's own form; people who look into the volume see whose it is.
const MARK: &[u8] = b"maestro1";
const CHECKSUM: usize = 32;

/// A document as the content of a file, which is never empty.
pub(super) fn seal(document: &Document) -> Vec<u8> {
    let format = document.format.to_be_bytes();
    let mut content = Vec::with_capacity(MARK.len() + CHECKSUM + format.len() + document.bytes.len());
    content.extend(MARK);
    content.extend(checksum(format, &document.bytes));
    content.extend(format);
    content.extend(&document.bytes);
    content
}

/// The document in a file; none if it is damaged.
pub(super) fn open(content: &[u8]) -> Option<Document> {
    let (found, rest) = content.strip_prefix(MARK)?.split_at_checked(CHECKSUM)?;
    let (format, bytes) = rest.split_first_chunk::<2>()?;
    let document = Document::new(u16::from_be_bytes(*format), bytes);
    (checksum(*format, bytes) == found).then_some(document)
}

fn checksum(format: [u8; 2], bytes: &[u8]) -> [u8; CHECKSUM] {
    Sha256::new().chain_update(format).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_document_is_none() {
        for bytes in [&b""[..], b"x", &[0; 5000]] {
            let document = Document::new(7, bytes);
            let sealed = seal(&document);
            assert_eq!(open(&sealed), Some(document));
            for cut in [0, 1, 8, 30, 41, sealed.len() - 1] {
                assert_eq!(open(&sealed[..cut]), None, "{cut}");
            }
            for at in 0..sealed.len().min(60) {
                let mut other = sealed.clone();
                other[at] ^= 1;
                assert_eq!(open(&other), None, "{at}");
            }
        }
    }
}
