/** The words of mathematics, in LaTeX and in plain text, each with the one spelling in which it is read further. */

/** Functions: their arguments may do without brackets. */
export const functions = list(`sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh
  exp ln log lg abs floor ceil min max gcd lcm`);

export const greekLetters = list(`alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau
  upsilon phi chi psi omega varepsilon vartheta varphi ell hbar Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega`);

/** Commands that only place or emphasize what they stand before. */
export const layout = list(`left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm
  displaystyle textstyle limits nolimits rm bf it mathbf mathit boldsymbol bm boxed fbox framebox therefore`);

/** Commands whose group is text, not a product of letters. */
export const textFonts = list('text textbf textit textrm textsf textnormal mathrm mathsf mbox hbox operatorname');

/** Commands that make another letter of what they stand above or before. */
export const accents = list(`overline bar vec hat widehat tilde widetilde dot ddot overrightarrow underline overset
  mathbb mathcal mathfrak mathscr`);

/** What is read as mathematics though it is written as a word. */
const spoken = list(`pi sqrt infinity inf and or percent degree degrees union mod asin acos atan`);

/** Units of two or three letters, which could be products elsewhere. */
const shortUnits = list(`mm cm dm km in ft yd mi kg mg lb lbs oz ml mL min sec hr hrs ms kmh mph kph Hz kHz kJ kW kN Pa
  mol am pm`);

/** Units of one letter, where it is set as text. */
export const letterUnits = list('m g s h l L N J W V A C K F T');

export const numerals: ReadonlyMap<string, string> = new Map([
  ['dozen', '12'],
  ['hundred', '100'],
  ['thousand', '1000'],
  ['million', '1e6'],
  ['billion', '1e9'],
  ['trillion', '1e12'],
]);

const spellings = new Map(
  Object.entries({
    frac: 'dfrac tfrac cfrac',
    binom: 'dbinom tbinom',
    '<=': 'le leq leqslant ≤ ⩽',
    '>=': 'ge geq geqslant ≥ ⩾',
    '<': 'lt',
    '>': 'gt',
    '!=': 'ne neq ≠',
    '=': 'approx ≈ equiv ≡',
    in: '∈',
    '*': 'cdot times ast × · ⋅ ∙ ∗ •',
    '/': 'div ÷ ⁄ ∕',
    '-': '− – — ‐ ‑',
    pm: '±',
    mp: '∓',
    '^': '**',
    union: 'cup ∪',
    intersection: 'cap ∩',
    difference: 'setminus smallsetminus backslash ∖',
    emptyset: 'varnothing ∅',
    infty: 'infinity inf ∞',
    pi: 'π',
    radical: '√',
    '°': 'degree degrees',
    '%': 'percent',
    "'": 'prime ′ ’',
    "''": '″',
    'set{': 'lbrace',
    'set}': 'rbrace',
    '[': 'lbrack',
    ']': 'rbrack',
    '(': 'langle ⟨',
    ')': 'rangle ⟩',
    '|': 'lvert rvert vert',
    ':': 'colon',
    and: 'land wedge',
    or: 'lor vee',
    arcsin: 'asin',
    arccos: 'acos',
    arctan: 'atan',
    lg: 'log10',
    alpha: 'α',
    beta: 'β',
    gamma: 'γ',
    delta: 'δ',
    theta: 'θ',
    lambda: 'λ',
    mu: 'μ',
    rho: 'ρ',
    sigma: 'σ',
    tau: 'τ',
    phi: 'φ ϕ',
    omega: 'ω',
    'mathbb{R}': 'ℝ',
    'mathbb{Z}': 'ℤ',
    'mathbb{N}': 'ℕ',
    'mathbb{Q}': 'ℚ',
    'mathbb{C}': 'ℂ',
  }).flatMap(([one, others]) => others.split(' ').map(other => [other, one] as const)),
);

/** The one spelling of a command, a sign or a word. */
export function spelled(text: string): string {
  return spellings.get(text) ?? text;
}

/** Whether letters in a row, in plain text, are a word of mathematics: `pi`, `sqrt`, `theta`. */
export function isMathWord(run: string): boolean {
  return functions.has(run) || spoken.has(run) || (run.length > 2 && greekLetters.has(run));
}

/** Whether letters in a row, in plain text, are a word, and no product. */
export function isWord(run: string, followsNumber: boolean): boolean {
  return (run.length >= 4 && /[aeiou]/i.test(run)) || (followsNumber && shortUnits.has(run));
}

function list(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
