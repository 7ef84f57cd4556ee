//! The subset of JSON that a safetensors header needs: objects, arrays, strings without escapes, unsigned numbers.
//!
//! Written here because `serde-json-core` keeps bounds checks that the compiler cannot remove, and the firmware is
//! linked without any path to a panic. It is strict: a text with anything else is refused.

/// JSON text that is read from its beginning. Every function returns `None` if the text goes on with something else.
pub(super) struct Json<'a> {
    rest: &'a [u8],
}

impl<'a> Json<'a> {
    /// A reader at the beginning of the text.
    pub fn new(json: &'a [u8]) -> Self {
        Json { rest: json }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then_some(())?;
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    /// The end: only white space is left.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// A string without escapes.
    pub fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        let [b'"', rest @ ..] = rest else { return None };
        self.rest = rest;
        core::str::from_utf8(text).ok()
    }

    /// A number without sign, point and exponent that fits 32 bits.
    pub fn number(&mut self) -> Option<u32> {
        let first = self.peek()?;
        let mut value = 0u32;
        let mut digits = 0;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            value = value.checked_mul(10)?.checked_add(u32::from(*digit - b'0'))?;
            self.rest = rest;
            digits += 1;
        }
        (digits > 0 && (digits == 1 || first != b'0')).then_some(value)
    }

    /// An object; `each` reads the value of a key.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.list(b'{', b'}', |json| {
            let key = json.string()?;
            json.take(b':')?;
            each(json, key)
        })
    }

    /// An array; `each` reads an element.
    pub fn array(&mut self, each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.list(b'[', b']', each)
    }

    fn list(&mut self, open: u8, close: u8, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        if self.peek() == Some(close) {
            return self.take(close);
        }
        loop {
            each(self)?;
            if self.peek() != Some(b',') {
                return self.take(close);
            }
            self.take(b',')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn numbers(text: &str) -> Option<Vec<u32>> {
        let (mut json, mut numbers) = (Json::new(text.as_bytes()), Vec::new());
        json.array(|json| {
            numbers.push(json.number()?);
            Some(())
        })?;
        json.end()?;
        Some(numbers)
    }

    #[test]
    fn arrays_of_numbers() {
        assert_eq!(numbers("[ 0 ,10,\n4294967295 ]\t"), Some([0, 10, u32::MAX].to_vec()));
        assert_eq!(numbers("[]"), Some([].to_vec()));
        for bad in
            ["", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[01]", "[-1]", "[1.0]", "[1e3]", "[4294967296]"]
        {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }

    #[test]
    fn objects_of_strings() {
        let read = |text: &'static [u8]| {
            let (mut json, mut pairs) = (Json::new(text), Vec::new());
            json.object(|json, key| {
                pairs.push((key, json.string()?));
                Some(())
            })?;
            json.end()?;
            Some(pairs)
        };
        assert_eq!(read(b"{ \"a\" : \"b\", \"\":\"c d\" }"), Some([("a", "b"), ("", "c d")].to_vec()));
        assert_eq!(read(b"{}"), Some(Vec::new()));
        let bad: [&[u8]; 9] = [
            b"{",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":\"b\",}",
            b"{\"a\":\"b}",
            b"{\"a\":\"b\\n\"}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\xff\"}",
            b"{a:\"b\"}",
        ];
        for bad in bad {
            assert_eq!(read(bad), None, "{:?}", bad.escape_ascii());
        }
    }
}
