//! Cuts a stream of JSON into the objects of its lists without holding more than one of them.

/// The state of the cut, kept from one piece of input to the next.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The object that is being gathered: an item of a list, or the whole document while no list has begun.
    gathered: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Inside the array of a top-level field `items`.
    in_items: bool,
    had_items: bool,
    /// The last string at depth one, to know the key before a bracket.
    key: Vec<u8>,
    count: usize,
}

/// One object larger than this is refused. A list in a list is one object here.
const LARGEST: usize = 2 << 30;

/// Gets each object with its number; an error ends the reading.
pub(super) type Found<'a> = &'a mut dyn FnMut(usize, &[u8]) -> Result<(), String>;

impl Items {
    /// Objects found so far.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Takes a piece of input; `found` gets each object with its number.
    ///
    /// # Errors
    /// What `found` says, or text that is no JSON.
    pub(super) fn feed(&mut self, piece: &[u8], found: Found<'_>) -> Result<(), String> {
        // From here on `piece` is not gathered yet.
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = piece.get(at).copied() {
            if self.in_string {
                at += self.string(&piece[at..]);
                continue;
            }
            at += 1;
            match byte {
                b'"' => {
                    if self.depth == 0 {
                        return Err("is no JSON object".to_owned());
                    }
                    self.in_string = true;
                    if self.depth == 1 {
                        self.key.clear();
                    }
                }
                b'{' | b'[' => {
                    let is_items = byte == b'[' && self.depth == 1 && self.key == b"items";
                    if is_items || self.depth == self.outside() {
                        self.gathered.clear();
                        from = if is_items { at } else { at - 1 };
                    }
                    self.in_items |= is_items;
                    self.had_items |= is_items;
                    self.depth += 1;
                }
                b'}' | b']' => {
                    if self.depth == 0 {
                        return Err(format!("has one `{}` too many", char::from(byte)));
                    }
                    self.depth -= 1;
                    if self.in_items && self.depth == 1 {
                        self.in_items = false;
                        from = at;
                    } else if self.depth == self.outside() && (self.in_items || !std::mem::take(&mut self.had_items)) {
                        self.hand_out(&piece[from..at], found)?;
                    }
                }
                _ if self.depth == 0 && !byte.is_ascii_whitespace() => {
                    let byte = char::from(byte);
                    return Err(format!("has `{byte}` after its objects: this is no JSON of Kubernetes objects"));
                }
                _ => {}
            }
        }
        if self.depth > self.outside() {
            self.gathered.extend_from_slice(&piece[from..]);
        }
        if self.gathered.len() > LARGEST {
            return Err(format!("item {} is larger than 2 GiB: this is no dump of Kubernetes objects", self.count + 1));
        }
        Ok(())
    }

    /// Hands out an object whose end has come.
    fn hand_out(&mut self, end: &[u8], found: Found<'_>) -> Result<(), String> {
        self.count += 1;
        // What lies in one piece is not copied.
        if self.gathered.is_empty() {
            return found(self.count, end);
        }
        self.gathered.extend_from_slice(end);
        found(self.count, &self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// The depth outside of any object that is gathered.
    const fn outside(&self) -> usize {
        if self.in_items { 2 } else { 0 }
    }

    /// Takes the rest of a string, as far as it is there; how long that is.
    fn string(&mut self, rest: &[u8]) -> usize {
        if std::mem::take(&mut self.escaped) {
            return 1;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        if self.depth == 1 {
            self.key.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
        }
        let Some(end) = end else { return rest.len() };
        self.escaped = rest[end] == b'\\';
        self.in_string = self.escaped;
        end + 1
    }

    /// The input has ended.
    ///
    /// # Errors
    /// It ended inside an object.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.depth > 0 || self.in_string {
            return Err(format!("ends in the middle of item {}", self.count + 1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, piece: usize) -> Result<Vec<String>, String> {
        let mut items = Items::default();
        let mut all = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            items.feed(piece, &mut |_, item| {
                all.push(String::from_utf8_lossy(item).into_owned());
                Ok(())
            })?;
        }
        items.end().map(|()| all)
    }

    #[test]
    fn objects_are_cut_out_whatever_the_pieces() {
        for (text, expected) in [
            (r#"{"items":[{"a":1},{"b":"}]\"{"}],"kind":"List"}"#, vec![r#"{"a":1}"#, r#"{"b":"}]\"{"}"#]),
            (r#"{"kind":"List","items":[]}"#, vec![]),
            (r#"{"kind":"Pod","spec":{"items":[{"x":1}]}}"#, vec![r#"{"kind":"Pod","spec":{"items":[{"x":1}]}}"#]),
            (
                "{\"items\": [ {\"a\": [ {} ] } ] }\n{\"kind\":\"Node\"}",
                vec!["{\"a\": [ {} ] }", "{\"kind\":\"Node\"}"],
            ),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(cut(text, piece).expect(text), expected, "{text} by {piece}");
            }
        }
        for wrong in ["{", "}", "{}x", "\"a\"", r#"{"items":[{"a":1}"#] {
            assert!(cut(wrong, 2).is_err(), "{wrong}");
        }
    }
}
