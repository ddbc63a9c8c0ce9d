#include "report/escape.h"

#include <string.h>

typedef struct sign {
  uint32_t code;
  const char *latex;
} sign;

/* By code. */
static const sign ascii[] = {
    {'"', "''"},           {'#', "\\#"},
    {'$', "\\$"},          {'%', "\\%"},
    {'&', "\\&"},          {'*', "{*}"},
    {'<', "\\textless{}"}, {'>', "\\textgreater{}"},
    {'[', "{[}"},          {'\\', "\\textbackslash{}"},
    {']', "{]}"},          {'^', "\\textasciicircum{}"},
    {'_', "\\_"},          {'`', "\\textasciigrave{}"},
    {'{', "\\{"},          {'|', "\\textbar{}"},
    {'}', "\\}"},          {'~', "\\textasciitilde{}"},
};

static const sign wide[] = {
    {0xa0, "~"},
    {0xa7, "\\S{}"},
    {0xa9, "\\textcopyright{}"},
    {0xb0, "$^\\circ$"},
    {0xb1, "$\\pm$"},
    {0xb2, "$^2$"},
    {0xb3, "$^3$"},
    {0xb5, "$\\mu$"},
    {0xb7, "$\\cdot$"},
    {0xd7, "$\\times$"},
    {0xf7, "$\\div$"},
    {0x391, "A"},
    {0x392, "B"},
    {0x393, "$\\Gamma$"},
    {0x394, "$\\Delta$"},
    {0x398, "$\\Theta$"},
    {0x39b, "$\\Lambda$"},
    {0x3a0, "$\\Pi$"},
    {0x3a3, "$\\Sigma$"},
    {0x3a6, "$\\Phi$"},
    {0x3a8, "$\\Psi$"},
    {0x3a9, "$\\Omega$"},
    {0x3b1, "$\\alpha$"},
    {0x3b2, "$\\beta$"},
    {0x3b3, "$\\gamma$"},
    {0x3b4, "$\\delta$"},
    {0x3b5, "$\\varepsilon$"},
    {0x3b6, "$\\zeta$"},
    {0x3b7, "$\\eta$"},
    {0x3b8, "$\\theta$"},
    {0x3ba, "$\\kappa$"},
    {0x3bb, "$\\lambda$"},
    {0x3bc, "$\\mu$"},
    {0x3bd, "$\\nu$"},
    {0x3be, "$\\xi$"},
    {0x3c0, "$\\pi$"},
    {0x3c1, "$\\rho$"},
    {0x3c3, "$\\sigma$"},
    {0x3c4, "$\\tau$"},
    {0x3c6, "$\\varphi$"},
    {0x3c7, "$\\chi$"},
    {0x3c8, "$\\psi$"},
    {0x3c9, "$\\omega$"},
    {0x2013, "--"},
    {0x2014, "---"},
    {0x2018, "`"},
    {0x2019, "'"},
    {0x201c, "``"},
    {0x201d, "''"},
    {0x2020, "\\textdagger{}"},
    {0x2021, "\\textdaggerdbl{}"},
    {0x2022, "\\textbullet{}"},
    {0x2026, "\\dots{}"},
    {0x2190, "$\\leftarrow$"},
    {0x2191, "$\\uparrow$"},
    {0x2192, "$\\rightarrow$"},
    {0x2193, "$\\downarrow$"},
    {0x2194, "$\\leftrightarrow$"},
    {0x2212, "$-$"},
    {0x221e, "$\\infty$"},
    {0x2248, "$\\approx$"},
    {0x2260, "$\\neq$"},
    {0x2264, "$\\leq$"},
    {0x2265, "$\\geq$"},
};

static const char *sign_of(const sign *table, size_t n, uint32_t code) {
  for (size_t i = 0; i < n; i++)
    if (table[i].code == code) return table[i].latex;
  return NULL;
}

#define SIGN(table, code) sign_of(table, sizeof(table) / sizeof(table)[0], code)

/* Of a character that utf8_length accepts. */
static uint32_t decode(const char *s, size_t n) {
  uint32_t c = (unsigned char)s[0];
  if (n > 1) c &= 0xffu >> (n + 1);
  for (size_t i = 1; i < n; i++) c = c << 6 | ((unsigned char)s[i] & 0x3fu);
  return c;
}

/* Latin letters that every encoding can set: eth and thorn are missing from the oldest. */
static int is_plain_letter(uint32_t c) {
  return c >= 0xc0 && c <= 0xff && c != 0xd0 && c != 0xde && c != 0xf0 && c != 0xfe;
}

static void add_wide(text *t, const char *s, size_t n) {
  uint32_t c = decode(s, n);
  const char *latex = SIGN(wide, c);
  if (latex)
    text_add(t, latex);
  else if (is_plain_letter(c))
    text_addn(t, s, n);
  else
    text_addf(t, "U+%04X", (unsigned)c);
}

void text_add_latex(text *t, const char *s) {
  for (size_t left = strlen(s), n; left; s += n, left -= n) {
    n = utf8_length(s, left);
    if (n > 1) {
      add_wide(t, s, n);
      continue;
    }
    const char *latex = n ? SIGN(ascii, (unsigned char)*s) : NULL;
    if (!n) {
      text_add(t, "?");
      n = 1;
    } else if (latex) {
      text_add(t, latex);
    } else if ((unsigned char)*s < 32 || *s == 127) {
      text_add(t, " ");
    } else {
      text_addn(t, s, 1);
      if (*s == '-' && s[1] == '-') text_add(t, "{}"); /* no dash out of two hyphens */
    }
  }
}

void text_add_html(text *t, const char *s) {
  for (size_t left = strlen(s), n; left; s += n, left -= n) {
    n = utf8_length(s, left);
    if (!n) {
      text_add(t, "\xef\xbf\xbd");
      n = 1;
    } else if (*s == '&') {
      text_add(t, "&amp;");
    } else if (*s == '<') {
      text_add(t, "&lt;");
    } else if (*s == '>') {
      text_add(t, "&gt;");
    } else if (*s == '"') {
      text_add(t, "&quot;");
    } else if (*s == '\'') {
      text_add(t, "&#39;");
    } else if (n == 1 && ((unsigned char)*s < 32 || *s == 127)) {
      text_add(t, " ");
    } else {
      text_addn(t, s, n);
    }
  }
}
