//! Sends or receives one file with gloox (SIProfileFT), over SOCKS5 bytestreams or in-band.

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <gloox/bytestream.h>
#include <gloox/bytestreamdatahandler.h>
#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/connectiontcpclient.h>
#include <gloox/disco.h>
#include <gloox/error.h>
#include <gloox/loghandler.h>
#include <gloox/rosterlistener.h>
#include <gloox/rostermanager.h>
#include <gloox/siprofileft.h>
#include <gloox/siprofilefthandler.h>
#include <gloox/socks5bytestream.h>
#include <gloox/socks5bytestreamserver.h>
#include <gloox/tlsdefault.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <utility>

#include "../driver.h"

using driver::Line;
using driver::Options;
using driver::Role;
using driver::Transport;
using std::string;

namespace {

// gloox waits for one socket at a time; microseconds.
const int PAUSE = 1000;

// Reads of one bytestream in a row, so that others get their turn.
const int READS = 64;

// What gloox takes for one block in-band, and what is written to a socket at a time.
const std::size_t BLOCK = 4096;

// An address that others may dial: loopback only where there is nothing else.
string own_address() {
  string found = "127.0.0.1";
  ifaddrs *all = nullptr;
  if (getifaddrs(&all) != 0) return found;
  for (auto *each = all; each != nullptr; each = each->ifa_next) {
    const bool up = (each->ifa_flags & (IFF_RUNNING | IFF_LOOPBACK)) == IFF_RUNNING;
    if (!up || each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    const auto *address = reinterpret_cast<sockaddr_in *>(each->ifa_addr);
    found = inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    break;
  }
  freeifaddrs(all);
  return found;
}

// Asks a proxy where it is (XEP-0065, section 4): gloox does not.
class Question : public gloox::StanzaExtension {
 public:
  Question() : StanzaExtension(gloox::ExtUser) {}
  const string &filterString() const override { return gloox::EmptyString; }
  StanzaExtension *newInstance(const gloox::Tag *) const override { return nullptr; }
  StanzaExtension *clone() const override { return new Question; }

  gloox::Tag *tag() const override {
    auto *query = new gloox::Tag("query");
    query->setXmlns(gloox::XMLNS_BYTESTREAMS);
    return query;
  }
};

class Driver : gloox::ConnectionListener,
               gloox::IqHandler,
               gloox::SIProfileFTHandler,
               gloox::BytestreamDataHandler,
               gloox::RosterListener,
               gloox::LogHandler {
 public:
  explicit Driver(const Options &options)
      : options_(options),
        client_(gloox::JID(options.jid), options.password),
        files_(&client_, this),
        listener_(client_.logInstance(), 0, own_address()) {
    const auto &log = client_.logInstance();
    client_.setConnectionImpl(new gloox::ConnectionTCPClient(&client_, log, options.server.host, options.server.port));
    // The client would not hand on whom to trust (ClientBase::setCACerts, over GnuTLS).
    auto *tls = new gloox::TLSDefault(&client_, gloox::JID(options.jid).server());
    if (!tls->init()) throw std::runtime_error("no TLS");
    tls->setCACerts({options.ca});
    client_.setEncryptionImpl(tls);
    client_.setTls(gloox::TLSRequired);
    client_.setCompression(false);
    client_.registerConnectionListener(this);
    client_.rosterManager()->registerRosterListener(this, true);
    for (const auto &feature : {gloox::XMLNS_BYTESTREAMS, gloox::XMLNS_IBB})
      client_.disco()->addFeature(feature);
    if (options.verbose) client_.logInstance().registerLogHandler(gloox::LogLevelDebug, gloox::LogAreaAll, this);
  }

  bool run() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options_.deadline);
    if (!client_.connect(false)) fail("cannot connect");
    while (!ended_) {
      if (std::chrono::steady_clock::now() > deadline) fail("the deadline passed");
      if (client_.recv(PAUSE) != gloox::ConnNoError) fail("the connection to the server ended");
      listener_.recv(0);
      if (is_known_ && !std::exchange(is_prepared_, true)) prepare();
      if (stream_ != nullptr) serve();
    }
    if (stream_ != nullptr) stream_->removeBytestreamDataHandler();
    client_.disconnect();
    return complete_;
  }

 private:
  // Session

  void onConnect() override {
    Line("online").with("jid", client_.jid().full()).print();
    if (options_.role == Role::Send && !options_.contact) prepare();
  }

  void prepare() {
    if (options_.transport != Transport::Socks5Proxy) return offer();
    gloox::IQ question(gloox::IQ::Get, gloox::JID(options_.proxy.jid), client_.getID());
    question.addExtension(new Question);
    client_.send(question, this, 0);
  }

  bool handleIq(const gloox::IQ &) override { return false; }

  // It may call itself other than it was called.
  void handleIqID(const gloox::IQ &iq, int) override {
    const auto *answer = iq.findExtension(gloox::ExtS5BQuery);
    const std::unique_ptr<gloox::Tag> query(answer != nullptr ? answer->tag() : nullptr);
    const auto *host = query != nullptr ? query->findChild("streamhost") : nullptr;
    if (host == nullptr) return fail("the proxy does not say where it is");
    const gloox::JID proxy(host->findAttribute("jid"));
    files_.addStreamHost(proxy, options_.proxy.host, options_.proxy.port);
    offer();
  }

  void onDisconnect(gloox::ConnectionError why) override {
    fail("disconnected: " + std::to_string(why) + ", authentication: " + std::to_string(client_.authError()));
  }

  bool onTLSConnect(const gloox::CertInfo &info) override {
    if (info.status != gloox::CertOk) fail("the certificate is not trusted: " + std::to_string(info.status));
    return info.status == gloox::CertOk;
  }

  // Whoever asks for our presence gets it, and is asked for theirs.
  bool handleSubscriptionRequest(const gloox::JID &jid, const string &) override {
    client_.rosterManager()->subscribe(jid.bareJID());
    // It may ask again, and the offer follows when it has got what it asked for.
    if (options_.contact && jid.bare() == driver::bare(options_.to)) is_known_ = true;
    return true;
  }

  // Sending

  void offer() {
    if (options_.transport == Transport::Socks5Direct) {
      if (listener_.listen() != gloox::ConnNoError) return fail("cannot listen");
      files_.registerSOCKS5BytestreamServer(&listener_);
      files_.addStreamHost(client_.jid(), own_address(), listener_.localPort());
    }
    const auto types = options_.transport == Transport::Ibb ? gloox::SIProfileFT::FTTypeIBB : gloox::SIProfileFT::FTTypeS5B;
    path_ = options_.file;
    size_ = static_cast<std::int64_t>(std::filesystem::file_size(path_));
    const auto name = driver::base_name(path_);
    const auto sid = files_.requestFT(gloox::JID(options_.to), name, size_, "", "", "", "", types);
    if (sid.empty()) return fail("gloox does not send such a file");
    Line("offered").with("to", options_.to).with("name", name).with("size", size_).print();
  }

  // A proxy has to be activated first: gloox tells a second time that the stream is open.
  int openings_needed() const { return options_.transport == Transport::Socks5Proxy ? 2 : 1; }

  void send() {
    std::ifstream file(path_, std::ios::binary);
    const string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (std::size_t at = 0; at < all.size(); at += BLOCK) {
      if (!stream_->send(all.substr(at, BLOCK))) return fail("the stream does not take any more");
      if (stream_->type() == gloox::Bytestream::IBB) ++unacknowledged_;
    }
    sent_ = true;
  }

  // Receiving

  void handleFTRequest(const gloox::JID &from, const gloox::JID &, const string &sid, const string &name, long size,
                       const string &, const string &, const string &, const string &, int types) override {
    if (options_.role != Role::Receive || stream_ != nullptr || !path_.empty())
      return files_.declineFT(from, sid, gloox::SIManager::RequestRejected);
    Line("offered").with("from", from.full()).with("name", name).with("size", size).print();
    const bool socks5 = options_.transport != Transport::Ibb && (types & gloox::SIProfileFT::FTTypeS5B);
    const bool ibb = !socks5 && (types & gloox::SIProfileFT::FTTypeIBB);
    if (!socks5 && !ibb) {
      files_.declineFT(from, sid, gloox::SIManager::NoValidStreams);
      return fail("the transport is not offered");
    }
    path_ = driver::target(options_, name);
    size_ = size;
    into_.open(path_, std::ios::binary | std::ios::trunc);
    if (!into_) return fail("cannot write " + path_);
    files_.acceptFT(from, sid, socks5 ? gloox::SIProfileFT::FTTypeS5B : gloox::SIProfileFT::FTTypeIBB);
    Line("accepted").print();
  }

  // Both

  void handleFTBytestream(gloox::Bytestream *stream) override {
    stream_ = stream;
    stream->registerBytestreamDataHandler(this);
    const bool ibb = stream->type() == gloox::Bytestream::IBB;
    if (options_.role == Role::Send) Line("accepted").print();
    if (ibb && options_.role == Role::Receive) return;
    if (!stream->connect()) fail("no host of the stream can be reached");
  }

  void handleBytestreamOpen(gloox::Bytestream *) override {
    if (openings_++ == 0) Line("transport").with("transport", name_of(used())).print();
  }

  Transport used() const {
    if (stream_->type() == gloox::Bytestream::IBB) return Transport::Ibb;
    const auto *connection = static_cast<gloox::SOCKS5Bytestream *>(stream_)->connectionImpl();
    const bool proxy = connection->server() == options_.proxy.host && connection->port() == options_.proxy.port;
    return proxy ? Transport::Socks5Proxy : Transport::Socks5Direct;
  }

  void handleBytestreamData(gloox::Bytestream *, const string &data) override {
    into_.write(data.data(), static_cast<std::streamsize>(data.size()));
    received_ += static_cast<std::int64_t>(data.size());
  }

  void handleBytestreamDataAck(gloox::Bytestream *) override { --unacknowledged_; }

  void handleBytestreamClose(gloox::Bytestream *) override {
    into_.close();
    if (options_.role == Role::Send) return sent_ && unacknowledged_ == 0 ? finish() : fail("the peer closed the stream");
    if (received_ == size_) return finish();
    fail("the stream ended after " + std::to_string(received_) + " bytes");
  }

  void handleBytestreamError(gloox::Bytestream *, const gloox::IQ &) override { fail("the stream failed"); }

  void handleFTRequestError(const gloox::IQ &iq, const string &) override {
    fail("refused: " + std::to_string(iq.error() != nullptr ? iq.error()->error() : gloox::StanzaErrorUndefined));
  }

  // What a bytestream needs done from outside of gloox's own calls.
  void serve() {
    for (int reads = 0; reads < READS && !ended_; ++reads) {
      const auto before = received_;
      if (stream_->type() == gloox::Bytestream::S5B) stream_->recv(0);
      if (received_ == before) break;
    }
    if (ended_ || options_.role == Role::Receive || openings_ < openings_needed()) return;
    if (!sent_) send();
    if (sent_ && unacknowledged_ == 0) stream_->close();
  }

  void finish() {
    if (ended_) return;
    ended_ = complete_ = true;
    driver::done(path_);
  }

  void fail(const string &why) {
    if (ended_) return;
    ended_ = true;
    Line("failed").with("why", why).print();
  }

  const string handleOOBRequestResult(const gloox::JID &, const gloox::JID &, const string &) override { return ""; }
  void handleLog(gloox::LogLevel, gloox::LogArea, const string &message) override { std::cerr << message << '\n'; }
  void handleItemAdded(const gloox::JID &) override {}
  void handleItemSubscribed(const gloox::JID &) override {}
  void handleItemRemoved(const gloox::JID &) override {}
  void handleItemUpdated(const gloox::JID &) override {}
  void handleItemUnsubscribed(const gloox::JID &) override {}
  void handleRoster(const gloox::Roster &) override {}
  void handleRosterPresence(const gloox::RosterItem &, const string &, gloox::Presence::PresenceType, const string &) override {}
  void handleSelfPresence(const gloox::RosterItem &, const string &, gloox::Presence::PresenceType, const string &) override {}
  bool handleUnsubscriptionRequest(const gloox::JID &, const string &) override { return true; }
  void handleNonrosterPresence(const gloox::Presence &) override {}
  void handleRosterError(const gloox::IQ &) override {}

  const Options options_;
  gloox::Client client_;
  gloox::SIProfileFT files_;
  gloox::SOCKS5BytestreamServer listener_;
  gloox::Bytestream *stream_ = nullptr;
  string path_;
  std::ofstream into_;
  std::int64_t size_ = 0, received_ = 0, unacknowledged_ = 0;
  int openings_ = 0;
  bool is_known_ = false, is_prepared_ = false, sent_ = false, ended_ = false, complete_ = false;
};

}  // namespace

int main(int count, char **words) {
  try {
    return Driver(driver::options(count, words)).run() ? 0 : 1;
  } catch (const std::exception &why) {
    Line("failed").with("why", why.what()).print();
    return 1;
  }
}
