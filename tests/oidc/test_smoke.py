def test_smoke(relying_party, make_user):
    make_user(roles=("admin",))
    rp = relying_party()
    tokens = rp.log_in(scope="openid profile email roles offline_access")
    print(tokens.claims, rp.userinfo(tokens))
    t2 = rp.refresh(tokens.refresh_token)
    print(rp.introspect(t2.access_token))
