//! Faults that a library of this kind is prone to, each in several forms.

mod support;

mod known_faults {
    mod aliases;
    mod copies;
    mod passes;
    mod seed_count;
    mod seeds;
    mod shared_structure;
    mod undefined;
}
