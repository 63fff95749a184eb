//! What the drivers in C++ share: the command line, and the lines that they print.

#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

#include "sha256.h"

namespace driver {

// How long a driver runs when it is not told.
const int DEADLINE = 30;

enum class Role { Send, Receive };
enum class Transport { Ibb, Socks5Direct, Socks5Proxy };

inline const char *name_of(Transport transport) {
  switch (transport) {
    case Transport::Ibb: return "ibb";
    case Transport::Socks5Direct: return "socks5-direct";
    case Transport::Socks5Proxy: return "socks5-proxy";
  }
  return "";
}

// A host and a port; of a proxy also its JID.
struct Place {
  std::string jid;
  std::string host;
  int port = 0;
};

// What a driver is told.
struct Options {
  Role role = Role::Send;
  std::string jid, password, ca, to, file, into;
  Place server, proxy;
  Transport transport = Transport::Ibb;
  int deadline = DEADLINE;
  // Whether nothing is offered before the peer has asked for our presence: strangers may be declined.
  bool contact = false;
  bool verbose = false;
};

// `HOST:PORT`, for a proxy `JID=HOST:PORT`.
inline Place place(const std::string &text) {
  Place place;
  const auto equals = text.find('=');
  if (equals != std::string::npos) place.jid = text.substr(0, equals);
  const auto begin = equals == std::string::npos ? 0 : equals + 1;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon < begin) throw std::invalid_argument(text + " has no port");
  place.host = text.substr(begin, colon - begin);
  place.port = std::stoi(text.substr(colon + 1));
  return place;
}

inline Transport transport(const std::string &text) {
  for (auto each : {Transport::Ibb, Transport::Socks5Direct, Transport::Socks5Proxy})
    if (text == name_of(each)) return each;
  throw std::invalid_argument("no transport is called " + text);
}

inline Options options(int count, char **words) {
  Options options;
  const std::string role = count > 1 ? words[1] : "";
  if (role != "send" && role != "receive") throw std::invalid_argument("say send or receive first");
  options.role = role == "send" ? Role::Send : Role::Receive;
  for (int at = 2; at < count; ++at) {
    const std::string option = words[at];
    if (option == "--contact" || option == "--verbose") {
      (option == "--contact" ? options.contact : options.verbose) = true;
      continue;
    }
    if (++at == count) throw std::invalid_argument(option + " lacks a value");
    const std::string value = words[at];
    if (option == "--jid") options.jid = value;
    else if (option == "--password") options.password = value;
    else if (option == "--server") options.server = place(value);
    else if (option == "--ca") options.ca = value;
    else if (option == "--proxy") options.proxy = place(value);
    else if (option == "--to") options.to = value;
    else if (option == "--file") options.file = value;
    else if (option == "--into") options.into = value;
    else if (option == "--transport") options.transport = transport(value);
    else if (option == "--deadline") options.deadline = std::stoi(value);
    else throw std::invalid_argument(option + " is no option");
  }
  return options;
}

inline std::string bare(const std::string &jid) { return jid.substr(0, jid.find('/')); }

// The last part of a path.
inline std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

// Where to write a file that a peer gave this name.
inline std::string target(const Options &options, const std::string &name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    throw std::runtime_error("not a name for a file: " + name);
  return options.into + "/" + name;
}

// One line of output: an object of JSON.
class Line {
 public:
  explicit Line(const std::string &event) : text_("{\"event\":" + quoted(event)) {}

  Line &with(const std::string &key, const std::string &value) {
    text_ += "," + quoted(key) + ":" + quoted(value);
    return *this;
  }

  Line &with(const std::string &key, std::int64_t value) {
    text_ += "," + quoted(key) + ":" + std::to_string(value);
    return *this;
  }

  // Whoever reads the lines waits for them.
  void print() const {
    std::printf("%s}\n", text_.c_str());
    std::fflush(stdout);
  }

 private:
  static std::string quoted(const std::string &text) {
    std::string quoted = "\"";
    for (const unsigned char byte : text) {
      char escape[8];
      if (byte == '"' || byte == '\\') (quoted += '\\') += static_cast<char>(byte);
      else if (byte >= 0x20) quoted += static_cast<char>(byte);
      else quoted += (std::snprintf(escape, sizeof escape, "\\u%04x", byte), escape);
    }
    return quoted += '"';
  }

  std::string text_;
};

// Says that a transfer is complete: how long the file is and what is in it, read again from the disk.
inline void done(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  Sha256 hash;
  std::int64_t bytes = 0;
  char block[65536];
  while (file.read(block, sizeof block) || file.gcount() > 0) {
    hash.feed(block, static_cast<std::size_t>(file.gcount()));
    bytes += file.gcount();
  }
  Line("done").with("bytes", bytes).with("sha256", hash.finish()).print();
}

}  // namespace driver
