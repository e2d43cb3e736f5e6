//! Which fields of a record a request changes (AIP-134).

use prost_types::FieldMask;

use crate::{names, problem::Problem};

/// The fields that `mask` names, each once, out of `known`; `*` names all.
pub(crate) fn fields(
    mask: Option<&FieldMask>,
    known: &[&'static str],
) -> Result<Vec<&'static str>, Problem> {
    let unfit = |message: String| Err(Problem::field("update_mask", message));
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() {
        return unfit(format!(
            "nothing is named that is to change: `*` for all, or of {}",
            known.join(", ")
        ));
    }
    if paths == ["*"] {
        return Ok(known.to_vec());
    }
    let mut fields = Vec::new();
    for path in paths {
        let Some(field) = known.iter().find(|field| *field == path) else {
            return unfit(format!(
                "`{}` cannot be changed; what can is {}",
                names::shown(path),
                known.join(", ")
            ));
        };
        if !fields.contains(field) {
            fields.push(*field);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["a", "b", "c"];

    fn mask(paths: &[&str]) -> FieldMask {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        FieldMask { paths }
    }

    #[test]
    fn a_mask_names_known_fields() {
        let fields = |paths: &[&str]| fields(Some(&mask(paths)), &KNOWN);
        assert_eq!(fields(&["b", "a", "b"]).unwrap(), ["b", "a"]);
        assert_eq!(fields(&["*"]).unwrap(), KNOWN);
        for bad in [&[][..], &["d"], &["a", "*"], &["a.b"], &[""]] {
            assert!(fields(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_mask_changes_nothing() {
        assert!(fields(None, &KNOWN).is_err());
    }
}
