//! Stored filters in SEARCH (RFC 5466): their names, and their replacement by the keys stored.

use std::collections::BTreeMap;

use super::ast::SearchKey;

/// Return the names in FILTER keys, in lower case, each once.
#[must_use]
pub fn filter_names(key: &SearchKey) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut open = vec![key];
    while let Some(key) = open.pop() {
        match key {
            SearchKey::And(keys) => open.extend(keys.iter().rev()),
            SearchKey::Or(pair) => open.extend([&pair.1, &pair.0]),
            SearchKey::Not(key) | SearchKey::Fuzzy(key) => open.push(key),
            SearchKey::Filter(name) if !names.contains(&name.as_str()) => names.push(name),
            _ => {}
        }
    }
    names
}

/// Replace each FILTER key by the stored keys, as if these were in parentheses. Filters that are
/// not `known` stay.
///
/// Recursive: keys are nested as deep as a command may be, once for each replacement before.
///
/// # Errors
/// None if the result would have more than `left` keys that contain no others.
pub fn replace_filters(
    key: &SearchKey,
    known: &BTreeMap<String, SearchKey>,
    left: &mut usize,
) -> Option<SearchKey> {
    Some(match key {
        SearchKey::And(keys) => SearchKey::And(
            keys.iter()
                .map(|key| replace_filters(key, known, left))
                .collect::<Option<_>>()?,
        ),
        SearchKey::Or(pair) => SearchKey::Or(Box::new((
            replace_filters(&pair.0, known, left)?,
            replace_filters(&pair.1, known, left)?,
        ))),
        SearchKey::Not(key) => SearchKey::Not(Box::new(replace_filters(key, known, left)?)),
        SearchKey::Fuzzy(key) => SearchKey::Fuzzy(Box::new(replace_filters(key, known, left)?)),
        SearchKey::Filter(name) => match known.get(name) {
            // The stored keys have no known filters: one pass replaces one level.
            Some(stored) => replace_filters(stored, &BTreeMap::new(), left)?,
            None => counted(key, left)?,
        },
        other => counted(other, left)?,
    })
}

fn counted(key: &SearchKey, left: &mut usize) -> Option<SearchKey> {
    *left = left.checked_sub(1)?;
    Some(key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str) -> SearchKey {
        SearchKey::Filter(name.into())
    }

    fn known() -> BTreeMap<String, SearchKey> {
        let stored = SearchKey::And(vec![SearchKey::Larger(1), filter("b")]);
        BTreeMap::from([("a".to_owned(), stored)])
    }

    #[test]
    fn names_are_listed_once_in_order() {
        let key = SearchKey::And(vec![
            SearchKey::Not(Box::new(filter("b"))),
            SearchKey::Or(Box::new((filter("a"), filter("b")))),
            SearchKey::All,
            filter("c"),
        ]);
        assert_eq!(filter_names(&key), ["b", "a", "c"]);
        assert!(filter_names(&SearchKey::All).is_empty());
    }

    #[test]
    fn one_pass_replaces_one_level_as_if_in_parentheses() {
        let key = SearchKey::Or(Box::new((
            SearchKey::Not(Box::new(filter("a"))),
            SearchKey::And(vec![filter("x"), SearchKey::All]),
        )));
        let stored = SearchKey::And(vec![SearchKey::Larger(1), filter("b")]);
        assert_eq!(
            replace_filters(&key, &known(), &mut 4),
            Some(SearchKey::Or(Box::new((
                SearchKey::Not(Box::new(stored)),
                SearchKey::And(vec![filter("x"), SearchKey::All]),
            ))))
        );
    }

    #[test]
    fn the_number_of_keys_is_limited() {
        let key = SearchKey::And(vec![filter("a"), filter("a")]);
        assert!(replace_filters(&key, &known(), &mut 4).is_some());
        assert!(replace_filters(&key, &known(), &mut 3).is_none());
    }
}
