"use strict";
// What unfold's pages ask of Alpine, said so that its CSP build understands: that evaluates single expressions, knows
// no globals, no arrow functions and no statements, and so needs no 'unsafe-eval'.

const remembered = {
  getItem: (name) => localStorage.getItem(name),
  setItem: (name, value) => localStorage.setItem(name, value),
};

// The body's state: unfold keeps it in an attribute, with arrow functions.
function shell(tab) {
  return {
    activeTab: tab && (getCurrentTab() || tab),
    sidebarMobileOpen: false,
    sidebarDesktopOpen: (remembered.getItem("sidebarDesktopOpen") ?? "1") === "1",
    toggleSidebar() {
      this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
      remembered.setItem("sidebarDesktopOpen", this.sidebarDesktopOpen ? "1" : "0");
    },
    get here() {
      const { pathname, search } = window.location;
      return pathname + search + (this.activeTab && this.activeTab !== "general" ? `#${this.activeTab}` : "");
    },
  };
}

function search() {
  return {
    ...searchDropdown(),
    show() {
      this.openSearchResults = true;
      this.currentIndex = 0;
    },
    leave() {
      this.openSearchResults = false;
      if (this.$refs.searchInput.value === "") this.$refs.searchInput.blur();
      else this.$refs.searchInput.value = "";
    },
  };
}

function command() {
  return {
    ...searchCommand(),
    enter(event, keep) {
      if (!event.metaKey && !event.ctrlKey) this.selectItem(keep, false);
    },
  };
}

document.addEventListener("alpine:init", () => {
  Alpine.data("theme", theme);
  Alpine.data("shell", shell);
  Alpine.data("searchForm", searchForm);
  Alpine.data("searchDropdown", search);
  Alpine.data("searchCommand", command);
});

// Attributes with more than an expression, or with a style as a text, and what they become.
const EXPRESSIONS = [
  [/^sidebarDesktopOpen = !sidebarDesktopOpen; localStorage.*$/, "toggleSidebar()"],
  [/^openSearchResults = true; currentIndex = 0$/, "show()"],
  [/^openSearchResults = false; if .*$/, "leave()"],
  [/^if \(!\$event\.metaKey && !\$event\.ctrlKey\) selectItem\((true|false), false\)$/, "enter($event, $1)"],
  [/^activeTab && activeTab !== 'general' \? window\.location.*$/, "here"],
  [/^'width: ' \+ changeListWidth \+ 'px'$/, "{ width: changeListWidth + 'px' }"],
];

for (const element of document.querySelectorAll("*")) {
  for (const name of element.getAttributeNames().filter((each) => each.startsWith("x-"))) {
    for (const [pattern, expression] of EXPRESSIONS) {
      const value = element.getAttribute(name);
      if (pattern.test(value)) element.setAttribute(name, value.replace(pattern, expression));
    }
  }
}
